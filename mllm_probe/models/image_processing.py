"""Image processor of the bundled models: images of any size to the model's input."""

from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

IMAGE_SIDE = 64


def image_processor() -> SiglipImageProcessorPil:
    """Return the processor that ships with the models: 64 by 64 pixels, values from -1 to 1, without torchvision."""
    side = {"height": IMAGE_SIDE, "width": IMAGE_SIDE}
    return SiglipImageProcessorPil(size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3)
