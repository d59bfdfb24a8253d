# Settings of Sphinx; `microvae book` puts them beside the pages that it renders.
project = "microvae"
author = "The microvae developers"
copyright = "2026 onwards, the microvae developers"
extensions = ["myst_nb", "sphinxcontrib.bibtex", "sphinx_design", "microvae.book.mathml"]
html_theme = "sphinx_book_theme"
html_title = "microvae"
html_static_path = ["_static"]
html_css_files = ["microvae.css"]
html_theme_options = {
    "show_navbar_depth": 1,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "navbar_persistent": [],
    "navigation_with_keys": False,
}
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
smartquotes = False
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
numfig = True
numfig_format = {"figure": "Figure %s", "table": "Table %s"}
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"
exclude_patterns = []
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header"]
