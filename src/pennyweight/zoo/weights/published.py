"""Published weights, as data: file names, checksums, preprocessing and published accuracy.

Tags are torchvision's (BSD-3); `imagenet` is the best tag of a network. A file's name ends in the first digits of its
SHA-256, as its publisher writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from pennyweight.core.preprocess import Interpolation, Preprocess

__all__ = ["BEST", "PUBLISHED", "Published", "published"]

ADDRESS = "https://download.pytorch.org/models/"
BEST = "imagenet"


@dataclass(frozen=True)
class Published:
    """File of published weights for 1000 ImageNet classes."""

    file: str
    top1: float
    """Published ImageNet validation accuracy in %."""
    size: int
    resize: int
    interpolation: Interpolation = "bilinear"

    @property
    def url(self) -> str:
        """Address of the file."""
        return ADDRESS + self.file

    @property
    def checksum(self) -> str:
        """Checksum for `core.download.fetch`."""
        return "sha256:" + self.file.rpartition("-")[2].removesuffix(".pth")

    @property
    def preprocess(self) -> Preprocess:
        """Preprocessing of the published score: resize and crop; mean and deviation are ImageNet's."""
        return Preprocess(size=self.size, resize=self.resize, interpolation=self.interpolation)


def published(name: str, tag: str) -> Published:
    """Return the row of a network's published weights for a tag, or the best row for "imagenet"."""
    rows = PUBLISHED[name]
    return max(rows.values(), key=lambda row: row.top1) if tag == BEST else rows[tag]


PUBLISHED: dict[str, dict[str, Published]] = {
    "mobilenet_v2": {
        "IMAGENET1K_V1": Published("mobilenet_v2-b0353104.pth", 71.9, 224, 256),
        "IMAGENET1K_V2": Published("mobilenet_v2-7ebf99e0.pth", 72.2, 224, 232),
    },
    "shufflenet_v2_x0_5": {
        "IMAGENET1K_V1": Published("shufflenetv2_x0.5-f707e7126e.pth", 60.6, 224, 256),
    },
    "shufflenet_v2_x1_0": {
        "IMAGENET1K_V1": Published("shufflenetv2_x1-5666bf0f80.pth", 69.4, 224, 256),
    },
    "shufflenet_v2_x1_5": {
        "IMAGENET1K_V1": Published("shufflenetv2_x1_5-3c479a10.pth", 73.0, 224, 232),
    },
    "shufflenet_v2_x2_0": {
        "IMAGENET1K_V1": Published("shufflenetv2_x2_0-8be3c8ee.pth", 76.2, 224, 232),
    },
    "efficientnet_b0": {
        "IMAGENET1K_V1": Published("efficientnet_b0_rwightman-7f5810bc.pth", 77.7, 224, 256, "bicubic"),
    },
    "efficientnet_b1": {
        "IMAGENET1K_V1": Published("efficientnet_b1_rwightman-bac287d4.pth", 78.6, 240, 256, "bicubic"),
        "IMAGENET1K_V2": Published("efficientnet_b1-c27df63c.pth", 79.8, 240, 255),
    },
    "efficientnet_b2": {
        "IMAGENET1K_V1": Published("efficientnet_b2_rwightman-c35c1473.pth", 80.6, 288, 288, "bicubic"),
    },
    "efficientnet_b3": {
        "IMAGENET1K_V1": Published("efficientnet_b3_rwightman-b3899882.pth", 82.0, 300, 320, "bicubic"),
    },
    "efficientnet_b4": {
        "IMAGENET1K_V1": Published("efficientnet_b4_rwightman-23ab8bcd.pth", 83.4, 380, 384, "bicubic"),
    },
    "efficientnet_b5": {
        "IMAGENET1K_V1": Published("efficientnet_b5_lukemelas-1a07897c.pth", 83.4, 456, 456, "bicubic"),
    },
    "efficientnet_b6": {
        "IMAGENET1K_V1": Published("efficientnet_b6_lukemelas-24a108a5.pth", 84.0, 528, 528, "bicubic"),
    },
    "efficientnet_b7": {
        "IMAGENET1K_V1": Published("efficientnet_b7_lukemelas-c5b4e57e.pth", 84.1, 600, 600, "bicubic"),
    },
    "resnet18": {
        "IMAGENET1K_V1": Published("resnet18-f37072fd.pth", 69.8, 224, 256),
    },
    "resnet34": {
        "IMAGENET1K_V1": Published("resnet34-b627a593.pth", 73.3, 224, 256),
    },
    "resnet50": {
        "IMAGENET1K_V1": Published("resnet50-0676ba61.pth", 76.1, 224, 256),
        "IMAGENET1K_V2": Published("resnet50-11ad3fa6.pth", 80.9, 224, 232),
    },
    "resnet101": {
        "IMAGENET1K_V1": Published("resnet101-63fe2227.pth", 77.4, 224, 256),
        "IMAGENET1K_V2": Published("resnet101-cd907fc2.pth", 81.9, 224, 232),
    },
    "resnext50_32x4d": {
        "IMAGENET1K_V1": Published("resnext50_32x4d-7cdf4587.pth", 77.6, 224, 256),
        "IMAGENET1K_V2": Published("resnext50_32x4d-1a0047aa.pth", 81.2, 224, 232),
    },
    "resnext101_32x8d": {
        "IMAGENET1K_V1": Published("resnext101_32x8d-8ba56ff5.pth", 79.3, 224, 256),
        "IMAGENET1K_V2": Published("resnext101_32x8d-110c445d.pth", 82.8, 224, 232),
    },
    "resnext101_64x4d": {
        "IMAGENET1K_V1": Published("resnext101_64x4d-173b62eb.pth", 83.2, 224, 232),
    },
    "vgg11": {
        "IMAGENET1K_V1": Published("vgg11-8a719046.pth", 69.0, 224, 256),
    },
    "vgg11_bn": {
        "IMAGENET1K_V1": Published("vgg11_bn-6002323d.pth", 70.4, 224, 256),
    },
    "vgg13": {
        "IMAGENET1K_V1": Published("vgg13-19584684.pth", 69.9, 224, 256),
    },
    "vgg13_bn": {
        "IMAGENET1K_V1": Published("vgg13_bn-abd245e5.pth", 71.6, 224, 256),
    },
    "vgg16": {
        "IMAGENET1K_V1": Published("vgg16-397923af.pth", 71.6, 224, 256),
    },
    "vgg16_bn": {
        "IMAGENET1K_V1": Published("vgg16_bn-6c64b313.pth", 73.4, 224, 256),
    },
    "vgg19": {
        "IMAGENET1K_V1": Published("vgg19-dcbb9e9d.pth", 72.4, 224, 256),
    },
    "vgg19_bn": {
        "IMAGENET1K_V1": Published("vgg19_bn-c79401a0.pth", 74.2, 224, 256),
    },
    "vit_b_16": {
        "IMAGENET1K_V1": Published("vit_b_16-c867db91.pth", 81.1, 224, 256),
        "IMAGENET1K_SWAG_E2E_V1": Published("vit_b_16_swag-9ac1b537.pth", 85.3, 384, 384, "bicubic"),
        "IMAGENET1K_SWAG_LINEAR_V1": Published("vit_b_16_lc_swag-4e70ced5.pth", 81.9, 224, 224, "bicubic"),
    },
    "vit_b_32": {
        "IMAGENET1K_V1": Published("vit_b_32-d86f8d99.pth", 75.9, 224, 256),
    },
    "vit_l_16": {
        "IMAGENET1K_V1": Published("vit_l_16-852ce7e3.pth", 79.7, 224, 242),
        "IMAGENET1K_SWAG_E2E_V1": Published("vit_l_16_swag-4f3808c9.pth", 88.1, 512, 512, "bicubic"),
        "IMAGENET1K_SWAG_LINEAR_V1": Published("vit_l_16_lc_swag-4d563306.pth", 85.1, 224, 224, "bicubic"),
    },
}
