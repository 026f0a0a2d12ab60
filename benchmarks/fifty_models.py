"""Fifty ONNX models of seventeen families, for `onnx_cases.py`: no profile has seen any of them.

pip install -c constraints.txt transformers skl2onnx onnxscript
python benchmarks/fifty_models.py FOLDER [NAME ...]

These packages are this benchmark's alone, and it downloads nothing. Weights are random, of one
seed, and so are the tables that trees are fitted to. One half of torch's networks is written by its
newer exporter, one by its older; twins of bytes are made by ONNX Runtime's own quantiser. A model
that is in FOLDER already stays, so that what was broken off goes on.
"""

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import fifty_classifiers as classifiers
import fifty_pictures as pictures
import fifty_sequences as sequences
import numpy as np
import onnxruntime
import torch
from fifty_classifiers import Network
from onnxruntime import quantization
from skl2onnx import to_onnx
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

#: Family -> networks of torch; a model's name is its function's.
NETWORKS: dict[str, list[Callable[[], Network]]] = {
    "CNN": [classifiers.resnext, classifiers.inception, classifiers.repvgg],
    "mobile CNN": [classifiers.efficientnet, classifiers.mnasnet, classifiers.shufflenet],
    "CNN after ViT": [sequences.convnext, sequences.regnet],
    "ViT": [sequences.vit, sequences.mobilevit, classifiers.mlp_mixer],
    "Swin": [sequences.swin, sequences.swin_v2],
    "BERT": [sequences.bert, sequences.distilbert, sequences.albert],
    "decoder": [sequences.gpt2, sequences.llama],
    "speech": [sequences.whisper_encoder, sequences.wav2vec2],
    "recurrent": [sequences.lstm_tagger, sequences.gru_classifier, pictures.crnn],
    "time series": [sequences.tcn, sequences.inception_time],
    "detection": [pictures.yolo, pictures.ssd, pictures.detr, pictures.centernet],
    "segmentation": [pictures.unet, pictures.deeplab, sequences.segformer],
    "image to image": [pictures.espcn, pictures.srresnet, pictures.style_transfer, pictures.dcgan],
    "points": [pictures.pointnet],
    "tabular": [sequences.ft_transformer, sequences.dlrm],
    "tiny": [classifiers.keywords, sequences.autoencoder, classifiers.visual_wake_words],
}  # fmt: skip
#: Half of them are written by torch's older exporter, as many people still do.
OLDER = {
    "inception", "repvgg", "mnasnet", "convnext", "vit", "mlp_mixer", "swin", "swin_v2",
    "distilbert", "whisper_encoder", "lstm_tagger", "crnn", "inception_time", "ssd", "centernet",
    "deeplab", "espcn", "style_transfer", "pointnet", "dlrm", "autoencoder",
}  # fmt: skip
#: Networks of scikit-learn, and how many columns their tables have.
TABULAR: dict[str, tuple[BaseEstimator, int]] = {
    "sk_mlp": (make_pipeline(StandardScaler(), MLPClassifier((256, 128), max_iter=5)), 60),
    "sk_forest": (RandomForestClassifier(100, max_depth=8, random_state=0), 30),
    "sk_boosting": (GradientBoostingRegressor(n_estimators=120, random_state=0), 20),
}
_ROWS = 300
#: Name -> the model it is made of, and how.
INT8: dict[str, tuple[str, str]] = {
    "visual_wake_words_qdq": ("visual_wake_words", "QDQ"),
    "mnasnet_qdq": ("mnasnet", "QDQ"),
    "unet_qoperator": ("unet", "QOperator"),
    "distilbert_dynamic": ("distilbert", "dynamic"),
    "lstm_tagger_dynamic": ("lstm_tagger", "dynamic"),
}


class Random(quantization.CalibrationDataReader):
    """Two random images."""

    def __init__(self, path: Path):
        value = onnx_input(path)
        rng = np.random.default_rng(0)
        self.left = [{value[0]: rng.standard_normal(value[1], np.float32)} for _ in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next image by its input's name; None at the end."""
        return self.left.pop() if self.left else None


def onnx_input(path: Path) -> tuple[str, list[int]]:
    value = onnxruntime.InferenceSession(path).get_inputs()[0]
    return value.name, value.shape


def export(make: Callable[[], Network], path: Path) -> None:
    torch.manual_seed(0)
    network, inputs = make()
    older = make.__name__ in OLDER
    more = {"opset_version": 17} if older else {}
    torch.onnx.export(
        network.eval(), inputs, path, dynamo=not older, external_data=False, verbose=False, **more
    )


def fit(model: BaseEstimator, columns: int, path: Path) -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((_ROWS, columns), np.float32)
    model.fit(table, (table[:, 0] + table[:, 1] * table[:, 2] > 0).astype(np.int64))
    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    path.write_bytes(to_onnx(model, table[:1], options=options).SerializeToString())


def quantise(source: Path, path: Path, how: str) -> None:
    if how == "dynamic":
        quantization.quantize_dynamic(source, path)
        return
    form = quantization.QuantFormat[how]
    quantization.quantize_static(source, path, Random(source), quant_format=form)


def main(folder: Path, wanted: list[str]) -> None:
    warnings.simplefilter("ignore")
    logging.disable()
    torch.backends.mha.set_fastpath_enabled(False)  # no exporter knows it
    folder.mkdir(parents=True, exist_ok=True)
    makers: dict[str, Callable[[Path], None]] = {}
    for make in (make for family in NETWORKS.values() for make in family):
        makers[make.__name__] = lambda path, make=make: export(make, path)
    for name, (model, columns) in TABULAR.items():
        makers[name] = lambda path, model=model, columns=columns: fit(model, columns, path)
    for name, (source, how) in INT8.items():
        makers[name] = lambda path, source=source, how=how: quantise(
            folder / f"{source}.onnx", path, how
        )
    for name, write in makers.items():
        path = folder / f"{name}.onnx"
        if (not wanted or name in wanted) and not path.exists():
            write(path)
            print(name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
