"""An engine on the card: its tensors, the memory that it computes in, and a run of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.errors import ModelRejectedError
from hwnas.profilers.gpu.cuda_driver import CudaDriver
from hwnas.profilers.gpu.memory import Memory, SharedMemory
from hwnas.profilers.gpu.tensorrt.callbacks import Log

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["BoundEngine", "context_of", "element_count"]

#: Types of tensors, as TensorRT calls them.
_WHOLE = {
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
}
_FLOATS = {"HALF": np.float16, "FLOAT": np.float32}


class BoundEngine:
    """An execution context with random input, and memory for all that it reads and writes.

    Attributes:
        engine: that runs.
        context: of it, which has the memory.

    Args:
        api: the module ``tensorrt``.
        log: that TensorRT writes to.
        driver: of the card.
        shared: what the engine computes in, together with others.
        engine: to run.

    Raises:
        ModelRejectedError: TensorRT does not take the memory.
        DeviceMemoryError: it does not fit on the card.
    """

    def __init__(
        self,
        api: Any,
        log: Log,
        driver: CudaDriver,
        shared: SharedMemory,
        engine: trt.ICudaEngine,
    ):
        self._log, self.engine = log, engine
        size, context = context_of(api, engine)
        if context is None:
            raise log.failure("TensorRT makes no execution context")
        self.context: trt.IExecutionContext = context
        self._memory = [shared.take(size)]
        _compute_in(context, self._memory[0])
        rng = np.random.default_rng(0)
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            kind = engine.get_tensor_dtype(name).name
            count = element_count(engine, name)
            # whole numbers are masks, lengths, or rows of a table: one is valid everywhere
            values = np.ones(count) if kind in _WHOLE else rng.standard_normal(count)
            content = values.astype((_WHOLE | _FLOATS)[kind]).tobytes()
            memory = Memory(driver, len(content))
            self._memory.append(memory)
            driver.upload(memory.address, content)
            if not self.context.set_tensor_address(name, memory.address):
                raise log.failure(f"TensorRT takes no memory for tensor {name}")

    def enqueue(self, stream: int) -> None:
        """Put one run on a stream.

        Raises:
            ModelRejectedError: TensorRT does not run the engine.
        """
        if not self.context.execute_async_v3(stream):
            raise self._log.failure("TensorRT does not run its engine")


def context_of(api: Any, engine: trt.ICudaEngine) -> tuple[int, Any]:
    """The bytes that an engine computes in, and a context that is yet to be given them."""
    size = getattr(engine, "device_memory_size_v2", None)  # since 10.1
    if size is None:
        size = getattr(engine, "device_memory_size")  # noqa: B009 - not in 11
    strategies = getattr(api, "ExecutionContextAllocationStrategy", None)
    if strategies is not None:  # since 10
        return int(size), engine.create_execution_context(strategies.USER_MANAGED)
    make = getattr(engine, "create_execution_context_without_device_memory")  # noqa: B009
    return int(size), make()


def _compute_in(context: trt.IExecutionContext, memory: Memory) -> None:
    """Give a context the memory that it computes in, in the way that its version knows."""
    give = getattr(context, "set_device_memory", None)  # since 10.1
    if give is not None:
        give(memory.address, memory.count)
    else:
        context.device_memory = memory.address


def element_count(engine: trt.ICudaEngine, name: str) -> int:
    """Numbers in the memory of a tensor: one dimension may be padded to whole vectors.

    Raises:
        ModelRejectedError: its size is known only after a run.
    """
    shape = list(engine.get_tensor_shape(name))
    if min(shape, default=0) < 0:
        raise ModelRejectedError(
            f"the size of tensor {name!r} is known only after a run: measure with --runtime "
            "onnxruntime, or export the model without what depends on values"
        )
    along = engine.get_tensor_vectorized_dim(name)
    if along >= 0:
        vector = engine.get_tensor_components_per_element(name)
        shape[along] = math.ceil(shape[along] / vector) * vector
    return math.prod(shape)
