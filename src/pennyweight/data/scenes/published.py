"""Benchmark scenes by name: files, addresses, checksums and names of the classes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SCENES", "File", "Published"]


@dataclass(frozen=True)
class File:
    """File of a published scene."""

    name: str
    sha256: str
    url: str | None = None
    """Address; None if there is none, and the user must put the file in its place."""
    mark: str = ""
    """#VARIABLE, to choose among several arrays of the file."""


@dataclass(frozen=True)
class Published:
    """Benchmark scene: the files of its cube and label map, and the class name of each id."""

    cube: File
    labels: File
    names: dict[int, str]
    rows: int | None = None
    """Rows of the scene, for a cube stored as bands×pixels, column by column; else None."""


EHU = "https://www.ehu.eus/ccwintco/uploads/"
INDIAN_PINES = dict(
    enumerate(
        (
            *("Alfalfa", "Corn-notill", "Corn-mintill", "Corn", "Grass-pasture", "Grass-trees"),
            *("Grass-pasture-mowed", "Hay-windrowed", "Oats", "Soybean-notill", "Soybean-mintill", "Soybean-clean"),
            *("Wheat", "Woods", "Buildings-Grass-Trees-Drives", "Stone-Steel-Towers"),
        ),
        1,
    )
)
PAVIA = dict(
    enumerate(
        (
            *("Asphalt", "Meadows", "Gravel", "Trees", "Painted metal sheets", "Bare Soil", "Bitumen"),
            *("Self-Blocking Bricks", "Shadows"),
        ),
        1,
    )
)
SALINAS = dict(
    enumerate(
        (
            *("Brocoli_green_weeds_1", "Brocoli_green_weeds_2", "Fallow", "Fallow_rough_plow", "Fallow_smooth"),
            *("Stubble", "Celery", "Grapes_untrained", "Soil_vinyard_develop", "Corn_senesced_green_weeds"),
            *("Lettuce_romaine_4wk", "Lettuce_romaine_5wk", "Lettuce_romaine_6wk", "Lettuce_romaine_7wk"),
            *("Vinyard_untrained", "Vinyard_vertical_trellis"),
        ),
        1,
    )
)
# The publisher gives the SHA-256 of the three large cubes; the others are those of copies of the public files.
SCENES = {
    "indian-pines": Published(
        File(
            "Indian_pines_corrected.mat",
            "ec2f8808710919d566f70f0d4aa885aae1ddfd42b734aba71c5e12ca65450939",
            EHU + "6/67/Indian_pines_corrected.mat",
        ),
        File(
            "Indian_pines_gt.mat",
            "65c4687a8ab04f6da4789799bc3bc4f6e88bccac3ed6a2e6ae367e5e6b9e429c",
            EHU + "c/c4/Indian_pines_gt.mat",
        ),
        INDIAN_PINES,
    ),
    "pavia-university": Published(
        File(
            "PaviaU.mat",
            "28447fa87f7a5797845e9a189c0da85e23b1d06a4ba7361e5ff44efbf834d2fb",
            EHU + "e/ee/PaviaU.mat",
        ),
        File(
            "PaviaU_gt.mat",
            "23f6a426928f9b32984adffe659e29f554f9fb6c93b5a107528d308d5087a829",
            EHU + "5/50/PaviaU_gt.mat",
        ),
        PAVIA,
    ),
    "salinas": Published(
        File(
            "Salinas_corrected.mat",
            "5ec1c0d22f56d18ecd336f8e35735863c0f160682e04e0c18ef3f89a3334d87d",
            EHU + "a/a3/Salinas_corrected.mat",
        ),
        File(
            "Salinas_gt.mat",
            "ecfab4d31ef5553f097943235d8ea502038eb4a2067b2ad10b33e37c949955e2",
            EHU + "f/fa/Salinas_gt.mat",
        ),
        SALINAS,
    ),
    "salinas-a": Published(
        File(
            "SalinasA_corrected.mat",
            "d75684ed3ab71a1024cee0f9db9061f50a3523a92ff5edfbbb1eed976b9f1721",
            EHU + "1/1a/SalinasA_corrected.mat",
        ),
        File(
            "SalinasA_gt.mat",
            "17814c1d3296c0e29b27f320f2c4174d2a68adb87e376abe78f02923e2c2e454",
            EHU + "a/aa/SalinasA_gt.mat",
        ),
        SALINAS,
    ),
    "jasper-ridge": Published(
        File(
            "jasperRidge2_R198.mat",
            "0e4118a6452f6044978a8ca3762fb0f791115467904936d463c4e111e56e682e",
            mark="#Y",
        ),
        File("end4.mat", "92f5697b43705802b904fd13ba99b6ce65a3d203682864abc3fbec922beec374", mark="#A"),
        {1: "tree", 2: "water", 3: "dirt", 4: "road"},
        rows=100,
    ),
}
