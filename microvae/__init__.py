__version__ = "0.1.0"

import lazy_loader as _lazy

from microvae.core.public import PUBLIC as _PUBLIC

__getattr__, __dir__, __all__ = _lazy.attach(__name__, submod_attrs=_PUBLIC)
