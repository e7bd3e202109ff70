"""The networks by name: `create` makes one, `names` lists them."""

from pennyweight.zoo.registry import FAMILIES, Family, Stem, build, create, names, variant

__all__ = ["FAMILIES", "Family", "Stem", "build", "create", "names", "variant"]
