"""AdamW with clipped gradients, and its state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from bert_assets.config.schema import RunConfig


class AdamW(torch.optim.AdamW):
    """Fused AdamW (Loshchilov and Hutter 2019), which clips the gradients while it steps."""

    grad_scale: torch.Tensor | None = None

    def clip(self, max_norm: float) -> None:
        """Have the next step divide the gradients by what brings their norm, over all of them, down to `max_norm`.

        The fused step divides as it goes; a pass of its own over the gradients would cost half as much as the step.
        """
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
        # As torch.nn.utils.clip_grad_norm_ does it: never up, and no division by zero.
        self.grad_scale = ((norm + 1e-6) / max_norm).clamp(min=1.0)


def make_optimizer(parameters: Mapping[str, torch.nn.Parameter], run: RunConfig) -> AdamW:
    """AdamW without decay on biases and normalization weights."""
    decayed = [parameter for parameter in parameters.values() if parameter.ndim > 1]
    others = [parameter for parameter in parameters.values() if parameter.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": run.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=run.learning_rate, betas=(0.9, 0.999), eps=1e-8, fused=True)


def optimizer_tensors(
    parameters: Mapping[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """The optimizer's state as `<parameter>/<moment>`; empty before the first step."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in parameters.items()}
    return {
        f"{names[parameter]}/{key}": value
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }


def restore_optimizer(
    parameters: Mapping[str, torch.nn.Parameter],
    optimizer: torch.optim.Optimizer,
    saved: Mapping[str, torch.Tensor],
) -> None:
    """Give the optimizer the state that `optimizer_tensors` returned."""
    for key, value in saved.items():
        name, _, moment = key.rpartition("/")
        parameter = parameters[name]
        # The step counts stay where the optimizer makes them: beside the parameter when it is fused.
        optimizer.state[parameter][moment] = value.to(parameter.device)
