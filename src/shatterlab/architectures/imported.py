"""The user's own network, by the name of the function or class that builds it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from shatterlab.core import Architecture, live_code, user_code
from shatterlab.core.errors import InvalidPart, UnknownName, UserCodeError
from shatterlab.core.model_outputs import scores_in

_trained: WeakValueDictionary[int, Tensor] = WeakValueDictionary()


@dataclass(frozen=True)
class Imported(Architecture):
    """Any torch network, built by your own function or class.

    The factory is called with those of `shape`, `classes` (or `num_classes`), for images `channels`, and `height` with `width` that its signature names, and
    with `arguments`, which take precedence. It draws its weights from torch's generator, which the learner seeds. Keys hold the code's fingerprint. The network
    gives a tensor of scores, or what holds them as `logits`.

    Args:
        factory: "module:name" or "path/to/file.py:name" of a function or a subclass of torch.nn.Module; in Python also the callable itself, which becomes
            "module:name" where it can be imported, else a name that ends in a hash of its code and enclosed values.
        arguments: further arguments of the factory by name; numbers, text, lists and mappings.

    Example:
        >>> network = Imported(lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(shape[0], classes))).build((4,), 3)
        >>> sum(parameter.numel() for parameter in network.parameters())  # 4 * 3 + 3
        15
    """

    factory: str | Callable[..., Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def live(cls, factory: Callable[..., Any], arguments: Mapping[str, Any] | None = None, owner: str = "audit") -> Imported:
        """The architecture of a callable; `owner` is the name used in errors.

        Raises:
            InvalidPart: the callable is a network itself, not what makes one.
        """
        if isinstance(factory, nn.Module):
            name = type(factory).__name__
            raise InvalidPart(f"{owner}: a factory is required, got a live {name}. Pass `lambda: {name}()`: each replicate needs a fresh initialization.")
        return cls(factory, arguments or {})

    @classmethod
    def specimens(cls) -> tuple[Imported, ...]:
        network = "shatterlab.architectures.linear:linear_network"
        return (cls(network), cls(network, {"bias": False}))

    def validate(self) -> None:
        if isinstance(self.factory, nn.Module):
            self.live(self.factory, owner=self.kind)
        if callable(self.factory):
            object.__setattr__(self, "factory", live_code.reference(self.factory))
        named = isinstance(self.factory, str) and all(self.factory.rpartition(":"))
        self.require(named, 'factory is "module:name", "path/to/file.py:name" or a callable', self.factory)
        try:
            plain = json.loads(json.dumps(dict(self.arguments), allow_nan=False))
        except (TypeError, ValueError):
            self.require(False, "arguments are numbers, text, lists and mappings", dict(self.arguments), "Build other things in the factory.")
        object.__setattr__(self, "arguments", plain)

    def fingerprints(self) -> Mapping[str, str]:
        return {"factory": self._reference if live_code.is_live(self._reference) else user_code.fingerprint(self._reference, self.kind)}

    def build(self, shape: tuple[int, ...], classes: int) -> nn.Module:
        """A fresh network from the factory.

        Raises:
            InvalidPart: there is no such factory, it needs an argument that has no value, or it is a network already.
            UnknownName: the module has no such name, or the factory no such argument.
            UserCodeError: the factory fails, or returns no network, none that can learn, or one it returned before.
        """
        factory = self._resolved()
        arguments = self._filled(factory, shape, classes)
        with user_code.user_code(f"{self.kind}: {self._name}"):
            network = factory(**arguments)
            if isinstance(network, nn.Module):
                network.register_forward_hook(_scores_only)
                _fill_lazy_layers(network, shape)
        return self._checked(network)

    @property
    def _reference(self) -> str:
        assert isinstance(self.factory, str)  # since `validate`
        return self.factory

    @property
    def _name(self) -> str:
        return self._reference.removeprefix("live:").partition("#")[0] if live_code.is_live(self._reference) else self._reference

    def _resolved(self) -> Callable[..., Any]:
        find = live_code.find if live_code.is_live(self._reference) else user_code.resolve
        factory = find(self._reference, self.kind)
        if isinstance(factory, nn.Module):
            got = f"a factory is required at {self._name}, got a live {type(factory).__name__}"
            raise InvalidPart(f"{self.kind}: {got}. Name the function or class that makes it: each replicate needs a fresh initialization.")
        if not callable(factory):
            raise InvalidPart(f"{self.kind}: a function or class is required at {self._name}, got {factory!r}. Name what makes the network.")
        return factory

    def _filled(self, factory: Callable[..., Any], shape: tuple[int, ...], classes: int) -> dict[str, Any]:
        try:
            parameters = inspect.signature(factory).parameters
        except (TypeError, ValueError):  # some callables written in C have no signature
            return dict(self.arguments)
        offered: dict[str, Any] = {"shape": shape, "classes": classes, "num_classes": classes}
        if len(shape) == 3:
            offered["channels"] = shape[0]
            if {"height", "width"} <= parameters.keys():
                offered |= {"height": shape[1], "width": shape[2]}
        named = [name for name, parameter in parameters.items() if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)]
        arguments = {name: value for name, value in offered.items() if name in named} | dict(self.arguments)
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        for name in self.arguments:
            if name not in named and not takes_any:
                raise UnknownName(f"{self.kind}: {self._name}", name, named)
        for name, parameter in parameters.items():
            if parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL) and name not in arguments:
                required = f"a value is required for {name} of {self._name}, got none for inputs of shape {tuple(shape)}"
                raise InvalidPart(f"{self.kind}: {required}. Give it in arguments, or take shape and classes.")
        return arguments

    def _checked(self, network: object) -> nn.Module:
        if not isinstance(network, nn.Module):
            got, remedy = type(network).__name__, "Return the module itself."
            if isinstance(network, type):
                got, remedy = f"the class {network.__name__}", f"Return an instance, {network.__name__}(...)."
            raise UserCodeError(f"{self.kind}: a torch.nn.Module is required from {self._name}, got {got}. {remedy}")
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        if not parameters:
            got = f"{type(network).__name__} without any"
            raise UserCodeError(f"{self.kind}: trainable parameters are required from {self._name}, got {got}. Return a network that can learn.")
        if any(_trained.get(id(parameter)) is parameter for parameter in parameters):
            got = f"the {type(network).__name__} that it returned before"
            raise UserCodeError(f"{self.kind}: a fresh network is required from {self._name}, got {got}. Make every layer inside the factory.")
        _trained.update((id(parameter), parameter) for parameter in parameters)
        return network


def _scores_only(network: nn.Module, inputs: Any, output: Any) -> Any:
    return scores_in(output)


def _fill_lazy_layers(network: nn.Module, shape: tuple[int, ...]) -> None:
    if any(isinstance(parameter, nn.UninitializedParameter) for parameter in network.parameters()):
        training = network.training
        with torch.no_grad():
            network.eval()(torch.zeros(1, *shape))
        network.train(training)
