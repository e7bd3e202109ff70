"""Names of our settings in other libraries, so that users find a setting by the name that they know."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pennyweight.core.errors import nearest

__all__ = ["hint", "hint_of_value", "meant"]

NAMES: Mapping[str, str] = {
    # fields of a recipe, by the words of timm, torchvision, Keras, Lightning, Transformers, fastai and Ultralytics
    "epochs": "num_epochs n_epochs nb_epochs nepochs max_epochs num_train_epochs epoch",
    "batch": "batch_size bs bsz per_device_train_batch_size train_batch_size",
    "accumulate": "accumulation_steps accumulate_grad_batches gradient_accumulation_steps grad_accum_steps grad_accum",
    "optimizer": "opt optim optimiser",
    "lr": "learning_rate learningrate base_lr max_lr lr_max lr0 init_lr",
    "weight_decay": "wd decay l2 l2_reg weightdecay",
    "clip_norm": "clip_grad clip_grad_norm grad_clip max_grad_norm gradient_clip_val clipnorm max_norm",
    "schedule": "scheduler sched lr_scheduler lr_scheduler_type lr_schedule scheduler_type",
    "warmup_epochs": "warmup lr_warmup_epochs warmup_steps warmup_ratio",
    "label_smoothing": "smoothing label_smooth ls",
    "flip": "hflip fliplr horizontal_flip random_flip random_horizontal_flip",
    "shift": "translate random_crop padding_crop width_shift_range",
    "first_size": "progressive_resizing",
    "policy": "auto_augment autoaugment aa augment augmentation randaugment rand_augment trivial_augment",
    "erase": "random_erase random_erasing erasing reprob cutout",
    "mixup": "mixup_alpha mix_up",
    "cutmix": "cutmix_alpha cut_mix",
    "balance": "class_weights class_weight weighted_sampler oversample auto_class_weights",
    "drop_path": "drop_path_rate stochastic_depth stochastic_depth_prob drop_connect_rate",
    "ema": "ema_decay model_ema model_ema_decay use_ema ema_momentum",
    "patience": "early_stopping early_stopping_patience early_stop",
    "head_lr": "lr_head classifier_lr",
    "head_epochs": "freeze_epochs",
    "rate_decay": "layer_decay llrd layerwise_lr_decay layer_wise_lr_decay lr_decay_rate",
    "freeze_norms": "freeze_bn freeze_batch_norm",
    "distill_share": "distill_alpha distillation_alpha alpha_kd",
    "temperature": "distill_temperature distillation_temperature kd_temperature",
    "layout": "channels_last memory_format",
    "precision": "amp fp16 bf16 half mixed_precision dtype amp_dtype",
    "compile": "torch_compile torchcompile use_compile",
    # fields of networks
    "width": "width_mult width_multiplier alpha depth_multiplier channel_multiplier",
    "dropout": "dropout_rate drop_rate drop p_dropout",
    "size": "img_size image_size input_size imgsz resolution",
    "activation": "act act_layer activation_layer",
    "bn_eps": "norm_eps eps epsilon",
    # arguments of `fit`
    "out": "output output_dir out_dir save_dir logdir log_dir project",
    "seed": "random_state random_seed manual_seed",
    "weights": "pretrained checkpoint ckpt ckpt_path init",
    "model": "network arch architecture backbone model_name",
    "input_size": "img_size image_size imgsz resolution input",
    "frame": "crop_mode resize_mode resize_method fit_mode letterbox",
    "save_minutes": "save_every checkpoint_minutes save_interval",
    "in_channels": "in_chans channels_in",
}  # fmt: skip
"""Our names, with the words for them elsewhere. A word in several rows means the setting that exists there."""
VALUES: Mapping[str, str] = {
    "adamw": "adam_w adamw_torch",
    "sgd": "nesterov momentum",
    "cosine": "cosineannealinglr cosine_annealing cosine_decay cos",
    "one-cycle": "onecyclelr onecycle one_cycle 1cycle super-convergence",
    "constant": "constantlr fixed flat",
    "bfloat16": "bf16 amp mixed bf16-mixed",
    "float32": "fp32 32 full",
    "rand": "randaugment rand_augment ra",
    "trivial": "trivialaugment trivialaugmentwide ta_wide trivial_augment",
    "sampling": "oversample weightedrandomsampler",
    "weights": "class_weights balanced",
    "crop": "center center_crop centercrop cover",
    "pad": "letterbox letter_box border contain padding pad_to_aspect_ratio",
    "stretch": "squash squish resize warp fill distort",
}
"""Values of fields, with the words for them elsewhere."""


def meant(name: str, choices: Collection[str], table: Mapping[str, str] = NAMES) -> str | None:
    """Return the choice that `name` means in another spelling or in another library; None for no choice."""
    plain = name.strip().lstrip("-").replace("-", "_").lower()
    spelled = {choice.replace("-", "_").lower(): choice for choice in choices}
    if plain in spelled:
        return spelled[plain]
    found = (ours for ours, theirs in table.items() if plain in theirs.replace("-", "_").split())
    return next((ours for ours in found if ours in choices), None)


def hint(name: str, choices: Collection[str], *, otherwise: str = "") -> str:
    """Return the end of an error message about an unknown setting: "; did you mean 'lr'?", else `otherwise`."""
    found = meant(name, choices)
    return f"; did you mean '{found}'?" if found else nearest(name, choices, otherwise=otherwise)


def hint_of_value(value: object, choices: Collection[str]) -> str:
    """Return the end of an error message about a value that is none of `choices`, or nothing."""
    if not isinstance(value, str):
        return ""
    found = meant(value, choices, VALUES)
    return f"; did you mean '{found}'?" if found else nearest(value.lower(), choices)
