"""The page's plots, as Plotly's data and layout; colours that follow the theme start with @."""
