"""Every private name of torch that d2s uses, in one place, and which versions have them."""

from d2s.runtime.torch_internals.versions import warn_if_untested

# Here, before any of them is imported: in a version that was not tested one may be gone.
warn_if_untested()
