# ruff: noqa: E501
"""Builds the names of places that the `exact` judge knows: `python plugins/build_names.py`.

Reads Unicode CLDR through the package `babel` (not needed to run RouteBench) and the cities listed
here; writes `names.tsv`: an English name, a language, the name there, folded, where they differ.
"""

from __future__ import annotations

from pathlib import Path

from babel import Locale  # type: ignore[import-not-found, unused-ignore]

from routebench_judges.answers.folding import fold, words

OUT = Path(__file__).resolve().parent / "routebench_judges" / "exact" / "names.tsv"
LANGUAGES = ("cs", "de", "es", "fr", "it", "nl", "pl", "pt", "ru", "sk", "sv")
ALSO = {
    "united states": ["united states of america"],
    "czechia": ["czech republic"],
    "turkiye": ["turkey"],
    "myanmar burma": ["myanmar", "burma"],
    "cote d ivoire": ["ivory coast"],
    "hong kong sar china": ["hong kong"],
    "macao sar china": ["macao", "macau"],
}
# Cities, regions, seas, rivers and mountains that CLDR has no names of: English, then by language
# as listed in CITY_LANGUAGES.
CITY_LANGUAGES = ("cs", "de", "es", "fr", "it", "pl", "pt")
CITIES = """
munich mnichov munchen munich munich monaco di baviera monachium munique
cologne kolin - colonia - colonia kolonia colonia
hamburg - - hamburgo hambourg amburgo - hamburgo
leipzig lipsko - - - lipsia lipsk -
dresden drazdany - dresde dresde dresda drezno dresda
nuremberg norimberk nurnberg nuremberg - norimberga norymberga nuremberga
venice benatky venedig venecia venise venezia wenecja veneza
florence florencie florenz florencia - firenze florencja florenca
milan milano mailand - - milano mediolan milao
naples neapol neapel napoles - napoli neapol napoles
turin turin turin - - torino turyn turim
genoa janov genua genova genes genova genua genova
geneva zeneva genf ginebra geneve ginevra genewa genebra
basel basilej basel basilea bale basilea bazylea basileia
antwerp antverpy antwerpen amberes anvers anversa antwerpia antuerpia
strasbourg strasburk strassburg estrasburgo - strasburgo strasburg estrasburgo
krakow krakov krakau cracovia cracovie cracovia krakow cracovia
wroclaw vratislav breslau breslavia - breslavia - breslavia
gdansk gdansk danzig - - danzica - -
edinburgh edinburk - edimburgo edimbourg edimburgo edynburg edimburgo
beijing peking peking pekin pekin pechino pekin pequim
philadelphia filadelfie - filadelfia philadelphie filadelfia filadelfia filadelfia
seville sevilla sevilla sevilla - siviglia sewilla sevilha
barcelona - - - barcelone barcellona - -
marseille - - marsella - marsiglia marsylia marselha
majorca mallorca mallorca mallorca majorque maiorca majorka maiorca
new_delhi nove_dilli neu-delhi nueva_delhi - nuova_delhi nowe_delhi nova_delhi
delhi dilli - - - - - -
low_countries nizozemi niederlande paises_bajos pays-bas paesi_bassi niderlandy paises_baixos
svalbard spicberky spitzbergen - - - - -
mecca mekka mekka meca mecque mecca mekka meca
medina medina medina medina medine medina medyna medina
nazareth nazaret nazareth nazaret nazareth nazaret nazaret nazare
bethlehem betlem bethlehem belen bethleem betlemme betlejem belem
hague haag haag haya haye aia haga haia
bruges bruggy brugge brujas bruges bruges brugia bruges
ghent gent gent gante gand gand gandawa gante
lyon lyon lyon lyon lyon lione lyon lyon
nice nice nizza niza nice nizza nicea nice
vienna viden wien viena vienne vienna wieden viena
salzburg salcburk salzburg salzburgo salzbourg salisburgo salzburg salzburgo
innsbruck innsbruck innsbruck innsbruck innsbruck innsbruck innsbruck innsbruck
graz styrsky_hradec graz graz graz graz graz graz
linz linec linz linz linz linz linz linz
bonn bonn bonn bonn bonn bonn bonn bona
mainz mohuc mainz maguncia mayence magonza moguncja mogucia
trier trevir trier treveris treves treviri trewir treveris
aachen cachy aachen aquisgran aix-la-chapelle aquisgrana akwizgran aquisgrana
bavaria bavorsko bayern baviera baviere baviera bawaria baviera
saxony sasko sachsen sajonia saxe sassonia saksonia saxonia
prussia prusko preussen prusia prusse prussia prusy prussia
bohemia cechy bohmen bohemia boheme boemia czechy boemia
moravia morava mahren moravia moravie moravia morawy moravia
silesia slezsko schlesien silesia silesie slesia slask silesia
galicia halic galizien galicia galicie galizia galicja galicia
tuscany toskansko toskana toscana toscane toscana toskania toscana
sicily sicilie sizilien sicilia sicile sicilia sycylia sicilia
sardinia sardinie sardinien cerdena sardaigne sardegna sardynia sardenha
corsica korsika korsika corcega corse corsica korsyka corsega
crete kreta kreta creta crete creta kreta creta
lombardy lombardie lombardei lombardia lombardie lombardia lombardia lombardia
piedmont piemont piemont piamonte piemont piemonte piemont piemonte
catalonia katalansko katalonien cataluna catalogne catalogna katalonia catalunha
andalusia andalusie andalusien andalucia andalousie andalusia andaluzja andaluzia
normandy normandie normandie normandia normandie normandia normandia normandia
brittany bretan bretagne bretana bretagne bretagna bretania bretanha
burgundy burgundsko burgund borgona bourgogne borgogna burgundia borgonha
provence provence provence provenza provence provenza prowansja provenca
alsace alsasko elsass alsacia alsace alsazia alzacja alsacia
flanders flandry flandern flandes flandre fiandre flandria flandres
scotland skotsko schottland escocia ecosse scozia szkocja escocia
wales wales wales gales galles galles walia gales
england anglie england inglaterra angleterre inghilterra anglia inglaterra
northern_ireland severni_irsko nordirland irlanda_del_norte irlande_du_nord irlanda_del_nord irlandia_polnocna irlanda_do_norte
cornwall cornwall cornwall cornualles cornouailles cornovaglia kornwalia cornualha
soviet_union sovetsky_svaz sowjetunion union_sovietica union_sovietique unione_sovietica zwiazek_radziecki uniao_sovietica
yugoslavia jugoslavie jugoslawien yugoslavia yougoslavie jugoslavia jugoslawia jugoslavia
czechoslovakia ceskoslovensko tschechoslowakei checoslovaquia tchecoslovaquie cecoslovacchia czechoslowacja checoslovaquia
ottoman_empire osmanska_rise osmanisches_reich imperio_otomano empire_ottoman impero_ottomano imperium_osmanskie imperio_otomano
persia persie persien persia perse persia persja persia
siam siam siam siam siam siam syjam siao
ceylon cejlon ceylon ceilan ceylan ceylon cejlon ceilao
burma barma birma birmania birmanie birmania birma birmania
tibet tibet tibet tibet tibet tibet tybet tibete
kashmir kasmir kaschmir cachemira cachemire kashmir kaszmir caxemira
jammu dzammu - - - - dzammu -
punjab pandzab punjab punyab pendjab punjab pendzab punjabe
bengal bengalsko bengalen bengala bengale bengala bengal bengala
gujarat gudzarat gujarat guyarat gujarat gujarat gudzarat gujarate
rajasthan radzasthan rajasthan rajastan rajasthan rajasthan radzastan rajastao
kerala kerala kerala kerala kerala kerala kerala querala
srinagar srinagar - - - - - -
hyderabad hajdarabad haiderabad - - - hajdarabad -
bangalore bangalur bangalore bangalore bangalore bangalore bangalur bangalore
mumbai bombaj bombay bombay bombay bombay bombaj bombaim
calcutta kalkata kalkutta calcuta calcutta calcutta kalkuta calcuta
kolkata kalkata kalkutta calcuta calcutta calcutta kalkuta calcuta
madras madras madras madras madras madras madras madrasta
lahore lahaur lahore lahore lahore lahore lahaur lahore
peshawar pesavar peschawar peshawar peshawar peshawar peszawar -
nanjing nanking nanking nankin nankin nanchino nankin nanquim
guangzhou kanton kanton canton canton canton kanton cantao
shenzhen sen-cen - - - - - -
chongqing cchung-cching - - - - - -
siberia sibir sibirien siberia siberie siberia syberia siberia
ural ural ural ural oural urali ural ural
caucasus kavkaz kaukasus caucaso caucase caucaso kaukaz caucaso
crimea krym krim crimea crimee crimea krym crimeia
chechnya cecensko tschetschenien chechenia tchetchenie cecenia czeczenia chechenia
leningrad leningrad leningrad leningrado leningrad leningrado leningrad leningrado
saint_petersburg petrohrad sankt_petersburg san_petersburgo saint-petersbourg san_pietroburgo petersburg sao_petersburgo
st_petersburg petrohrad sankt_petersburg san_petersburgo saint-petersbourg san_pietroburgo petersburg sao_petersburgo
kharkiv charkov charkiw jarkov kharkiv charkiv charkow carcovia
odessa odesa odessa odesa odessa odessa odessa odessa
lviv lvov lemberg leopolis lviv leopoli lwow leopolis
thessaloniki solun thessaloniki salonica thessalonique salonicco saloniki salonica
piraeus pireus piraus pireo piree pireo pireus pireu
izmir izmir izmir esmirna izmir smirne izmir esmirna
alexandria alexandrie alexandria alejandria alexandrie alessandria aleksandria alexandria
marrakesh marrakes marrakesch marrakech marrakech marrakech marrakesz marraquexe
casablanca casablanca casablanca casablanca casablanca casablanca casablanca casablanca
cape_town kapske_mesto kapstadt ciudad_del_cabo le_cap citta_del_capo kapsztad cidade_do_cabo
jerusalem jeruzalem jerusalem jerusalen jerusalem gerusalemme jerozolima jerusalem
mexico_city ciudad_de_mexico mexiko-stadt ciudad_de_mexico mexico citta_del_messico meksyk cidade_do_mexico
new_york_city new_york new_york nueva_york new_york new_york nowy_jork nova_york
new_york new_york new_york nueva_york new_york new_york nowy_jork nova_york
new_orleans new_orleans new_orleans nueva_orleans nouvelle-orleans new_orleans nowy_orlean nova_orleans
pennsylvania pensylvanie pennsylvania pensilvania pennsylvanie pennsylvania pensylwania pensilvania
virginia virginie virginia virginia virginie virginia wirginia virginia
georgia georgie georgia georgia georgie georgia georgia georgia
florida florida florida florida floride florida floryda florida
louisiana louisiana louisiana luisiana louisiane louisiana luizjana louisiana
hawaii havaj hawaii hawai hawai hawaii hawaje havai
alaska aljaska alaska alaska alaska alaska alaska alasca
quebec quebek quebec quebec quebec quebec quebec quebec
newfoundland newfoundland neufundland terranova terre-neuve terranova nowa_fundlandia terra_nova
nova_scotia nove_skotsko neuschottland nueva_escocia nouvelle-ecosse nuova_scozia nowa_szkocja nova_escocia
greenland gronsko gronland groenlandia groenland groenlandia grenlandia gronelandia
tasmania tasmanie tasmanien tasmania tasmanie tasmania tasmania tasmania
tahiti tahiti tahiti tahiti tahiti tahiti tahiti taiti
antarctica antarktida antarktis antartida antarctique antartide antarktyda antartida
pacific_ocean tichy_ocean pazifischer_ozean oceano_pacifico ocean_pacifique oceano_pacifico ocean_spokojny oceano_pacifico
atlantic_ocean atlantsky_ocean atlantischer_ozean oceano_atlantico ocean_atlantique oceano_atlantico ocean_atlantycki oceano_atlantico
indian_ocean indicky_ocean indischer_ozean oceano_indico ocean_indien oceano_indiano ocean_indyjski oceano_indico
arctic_ocean severni_ledovy_ocean arktischer_ozean oceano_artico ocean_arctique mar_glaciale_artico ocean_arktyczny oceano_artico
mediterranean_sea stredozemni_more mittelmeer mar_mediterraneo mer_mediterranee mar_mediterraneo morze_srodziemne mar_mediterraneo
black_sea cerne_more schwarzes_meer mar_negro mer_noire mar_nero morze_czarne mar_negro
red_sea rude_more rotes_meer mar_rojo mer_rouge mar_rosso morze_czerwone mar_vermelho
dead_sea mrtve_more totes_meer mar_muerto mer_morte mar_morto morze_martwe mar_morto
baltic_sea baltske_more ostsee mar_baltico mer_baltique mar_baltico morze_baltyckie mar_baltico
north_sea severni_more nordsee mar_del_norte mer_du_nord mare_del_nord morze_polnocne mar_do_norte
adriatic_sea jaderske_more adria mar_adriatico mer_adriatique mare_adriatico morze_adriatyckie mar_adriatico
aegean_sea egejske_more agais mar_egeo mer_egee mar_egeo morze_egejskie mar_egeu
caspian_sea kaspicke_more kaspisches_meer mar_caspio mer_caspienne mar_caspio morze_kaspijskie mar_caspio
english_channel lamansky_pruliv armelkanal canal_de_la_mancha manche la_manica la_manche canal_da_mancha
danube dunaj donau danubio danube danubio dunaj danubio
rhine ryn rhein rin rhin reno ren reno
elbe labe elbe elba elbe elba laba elba
vltava vltava moldau moldava vltava moldava weltawa moldava
oder odra oder oder oder oder odra oder
thames temze themse tamesis tamise tamigi tamiza tamisa
seine seina seine sena seine senna sekwana sena
loire loira loire loira loire loira loara loire
rhone rhona rhone rodano rhone rodano rodan rodano
po pad po po po po pad po
tiber tibera tiber tiber tibre tevere tyber tibre
nile nil nil nilo nil nilo nil nilo
volga volha wolga volga volga volga wolga volga
mississippi mississippi mississippi misisipi mississippi mississippi missisipi mississipi
amazon amazonka amazonas amazonas amazone amazzoni amazonka amazonas
ganges ganga ganges ganges gange gange ganges ganges
indus indus indus indo indus indo indus indo
euphrates eufrat euphrat eufrates euphrate eufrate eufrat eufrates
tigris tigris tigris tigris tigre tigri tygrys tigre
alps alpy alpen alpes alpes alpi alpy alpes
pyrenees pyreneje pyrenaen pirineos pyrenees pirenei pireneje pireneus
carpathians karpaty karpaten carpatos carpates carpazi karpaty carpatos
himalayas himalaj himalaya himalaya himalaya himalaya himalaje himalaia
rocky_mountains skalnate_hory - montanas_rocosas montagnes_rocheuses montagne_rocciose gory_skaliste montanhas_rochosas
andes andy anden andes andes ande andy andes
california kalifornie kalifornien - californie - kalifornia -
"""


def main() -> None:
    english = Locale("en")
    found: set[tuple[str, str, str]] = set()
    for code in LANGUAGES:
        there = Locale(code)
        pairs = [(english.territories.get(key), name) for key, name in there.territories.items()]
        pairs += [
            (english.languages.get(key), name)
            for key, name in there.languages.items()
            if len(key) == 2
        ]
        zones = english.time_zones
        pairs += [
            (
                zones.get(key, {}).get("city") or key.rpartition("/")[2].replace("_", " "),
                zone["city"],
            )
            for key, zone in there.time_zones.items()
            if "city" in zone
        ]
        for ours, theirs in pairs:
            add(found, ours, code, theirs)
    for line in CITIES.strip().splitlines():
        ours, *others = line.replace("monaco di baviera", "monaco_di_baviera").split()
        ours = ours.replace("_", " ")
        for code, theirs in zip(CITY_LANGUAGES, others, strict=True):
            if theirs != "-":
                add(found, ours, code, theirs.replace("_", " ").replace("-", " "))
    OUT.write_text("".join("\t".join(row) + "\n" for row in sorted(found)), encoding="utf-8")


def add(found: set[tuple[str, str, str]], ours: str | None, code: str, theirs: str) -> None:
    """Add a name where it differs; not one with a gloss, as in `Knox, Indiana`."""
    if ours is None or any(sign in ours + theirs for sign in ",()[]/"):
        if ours != "Myanmar (Burma)":
            return
        theirs = theirs.partition(" (")[0]
    name, other = " ".join(words(fold(ours))), " ".join(words(fold(theirs)))
    for one in [name, *ALSO.get(name, [])]:
        if one != other and len(other) > 2 and not other.isdigit():
            found.add((one, code, other))


if __name__ == "__main__":
    main()
