"""Find plugins, check their options; what plugin authors build on."""
