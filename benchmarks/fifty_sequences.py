"""Transformers, recurrent networks and networks of tables, small and with random weights.

Every function returns a network and what it is called with; see fifty_models.py. Transformers are
those of the package of that name, from configurations: nothing is downloaded.
"""

from itertools import pairwise

import torch
import transformers as hf
from fifty_classifiers import RELU, Network, image
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "albert", "autoencoder", "bert", "convnext", "distilbert", "dlrm", "ft_transformer", "gpt2",
    "gru_classifier", "inception_time", "llama", "lstm_tagger", "mobilevit", "regnet", "segformer",
    "swin", "swin_v2", "tcn", "vit", "wav2vec2", "whisper_encoder",
]  # fmt: skip


def tokens(count: int, below: int = 2000) -> tuple[Tensor, ...]:
    return (torch.randint(below, (1, count)),)


class First(nn.Module):
    """A model that returns a tuple: its first tensor; what fills a cache is off."""

    def __init__(self, model: nn.Module, **given: object):
        super().__init__()
        self.model, self.given = model.eval(), {"return_dict": False, **given}

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x, **self.given)[0]


def vit() -> Network:
    config = hf.ViTConfig(
        hidden_size=192, num_hidden_layers=5, num_attention_heads=3, intermediate_size=768,
        image_size=160,
    )  # fmt: skip
    return First(hf.ViTForImageClassification(config)), image(160)


def swin() -> Network:
    config = hf.SwinConfig(
        image_size=112, embed_dim=48, depths=[2, 2, 2], num_heads=[2, 4, 8], window_size=7
    )
    return First(hf.SwinForImageClassification(config)), image(112)


def swin_v2() -> Network:
    config = hf.Swinv2Config(
        image_size=128, embed_dim=48, depths=[2, 2, 4], num_heads=[2, 4, 8], window_size=8
    )
    return First(hf.Swinv2ForImageClassification(config)), image(128)


def mobilevit() -> Network:
    config = hf.MobileViTConfig(
        image_size=160, hidden_sizes=[64, 80, 96], neck_hidden_sizes=[16, 16, 24, 48, 64, 80, 320]
    )
    return First(hf.MobileViTForImageClassification(config)), image(160)


def convnext() -> Network:
    config = hf.ConvNextConfig(depths=[2, 2, 4, 2], hidden_sizes=[40, 80, 160, 320])
    return First(hf.ConvNextForImageClassification(config)), image(160)


def regnet() -> Network:
    config = hf.RegNetConfig(
        embedding_size=32, hidden_sizes=[32, 64, 160, 384], depths=[1, 2, 4, 2], groups_width=16
    )
    return First(hf.RegNetForImageClassification(config)), image(192)


def segformer() -> Network:
    config = hf.SegformerConfig(hidden_sizes=[24, 48, 96, 160], depths=[1, 1, 2, 1],
                                decoder_hidden_size=96, num_labels=19)  # fmt: skip
    return First(hf.SegformerForSemanticSegmentation(config)), image(160)


def bert() -> Network:
    config = hf.BertConfig(vocab_size=3000, hidden_size=256, num_hidden_layers=4,
                           num_attention_heads=4, intermediate_size=1024)  # fmt: skip
    return First(hf.BertForSequenceClassification(config)), tokens(128)


def distilbert() -> Network:
    config = hf.DistilBertConfig(vocab_size=4000, dim=384, n_layers=3, n_heads=6, hidden_dim=1536)
    return First(hf.DistilBertForSequenceClassification(config)), tokens(64)


def albert() -> Network:
    config = hf.AlbertConfig(vocab_size=3000, embedding_size=96, hidden_size=312,
                             num_hidden_layers=4, num_attention_heads=12,
                             intermediate_size=1248)  # fmt: skip
    return First(hf.AlbertForTokenClassification(config)), tokens(96)


def gpt2() -> Network:
    config = hf.GPT2Config(vocab_size=2500, n_embd=256, n_layer=4, n_head=4, n_positions=128)
    return First(hf.GPT2LMHeadModel(config), use_cache=False), tokens(48)


def llama() -> Network:
    config = hf.LlamaConfig(
        vocab_size=2500, hidden_size=256, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, intermediate_size=704,
    )  # fmt: skip
    return First(hf.LlamaForCausalLM(config), use_cache=False), tokens(40)


def whisper_encoder() -> Network:
    config = hf.WhisperConfig(
        d_model=256, encoder_layers=3, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=1024, max_source_positions=200,
    )  # fmt: skip
    encoder = hf.WhisperModel(config).get_encoder()
    return First(encoder), (torch.randn(1, 80, 400),)


def wav2vec2() -> Network:
    config = hf.Wav2Vec2Config(
        hidden_size=192, num_hidden_layers=3, num_attention_heads=4, intermediate_size=768,
        conv_dim=(96,) * 7, num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=8,
    )  # fmt: skip
    return First(hf.Wav2Vec2ForCTC(config)), (torch.randn(1, 16000),)


class Recurrent(nn.Module):
    """Words, a recurrent layer or two, and a linear one for each word or for the last."""

    def __init__(self, layer: nn.Module, width: int, classes: int, every: bool, inp: int):
        super().__init__()
        self.words, self.layer = nn.Embedding(1500, inp), layer
        self.head, self.every = nn.Linear(width, classes), every

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(self.words(x))[0]
        return self.head(y if self.every else y[:, -1])


def lstm_tagger() -> Network:
    layer = nn.LSTM(100, 128, 2, batch_first=True, bidirectional=True)
    return Recurrent(layer, 256, 17, True, 100), tokens(50, 1500)


def gru_classifier() -> Network:
    return Recurrent(nn.GRU(64, 192, batch_first=True), 192, 5, False, 64), tokens(80, 1500)


class Causal(nn.Module):
    """Two dilated convolutions that do not see what comes, and a way around them."""

    def __init__(self, inp: int, out: int, dilation: int):
        super().__init__()
        self.gap, self.inp = 2 * dilation, inp
        self.one = nn.Conv1d(inp, out, 3, dilation=dilation)
        self.two = nn.Conv1d(out, out, 3, dilation=dilation)
        self.around = nn.Conv1d(inp, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.one(F.pad(x, (self.gap, 0))))
        y = F.relu(self.two(F.pad(y, (self.gap, 0))))
        return F.relu(y + self.around(x))


def tcn() -> Network:
    layers = [Causal(12 if at == 0 else 64, 64, 2**at) for at in range(6)]
    return nn.Sequential(*layers, nn.Conv1d(64, 3, 1)), (torch.randn(1, 12, 500),)


class Columns(nn.Module):
    """Convolutions along time, short to long, beside each other (InceptionTime)."""

    def __init__(self, inp: int):
        super().__init__()
        self.narrow = nn.Conv1d(inp, 32, 1, bias=False)
        self.long = nn.ModuleList(nn.Conv1d(32, 32, k, padding=k // 2) for k in (9, 19, 39))
        self.pooled = nn.Sequential(nn.MaxPool1d(3, 1, 1), nn.Conv1d(inp, 32, 1, bias=False))
        self.norm = nn.BatchNorm1d(128)

    def forward(self, x: Tensor) -> Tensor:
        y = self.narrow(x)
        return F.relu(self.norm(torch.cat([*(f(y) for f in self.long), self.pooled(x)], 1)))


def inception_time() -> Network:
    layers = [Columns(9), Columns(128), Columns(128)]
    head = [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(128, 6)]
    return nn.Sequential(*layers, *head), (torch.randn(1, 9, 256),)


def autoencoder() -> Network:
    """MLPerf Tiny's for machines that sound wrong."""
    widths = (640, *[128] * 4, 8, *[128] * 4)
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.BatchNorm1d(b), RELU]
    return nn.Sequential(*layers, nn.Linear(128, 640)), (torch.randn(196, 640),)


class FtTransformer(nn.Module):
    """A token for every column of a table (Gorishniy et al. 2021)."""

    def __init__(self, columns: int = 28, width: int = 96):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(columns, width))
        self.shift = nn.Parameter(torch.randn(columns, width))
        layer = nn.TransformerEncoderLayer(width, 8, 192, activation="gelu", batch_first=True)
        self.body = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x[..., None] * self.scale + self.shift).mean(1))


def ft_transformer() -> Network:
    return FtTransformer(), (torch.randn(32, 28),)


class Dlrm(nn.Module):
    """Tables of categories, and products of all pairs of what they give (Naumov et al. 2019)."""

    def __init__(self, tables: int = 12, width: int = 32):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(5000, width) for _ in range(tables))
        self.low = nn.Sequential(nn.Linear(13, 256), RELU, nn.Linear(256, width), RELU)
        pairs = (tables + 1) ** 2
        self.high = nn.Sequential(nn.Linear(width + pairs, 512), RELU, nn.Linear(512, 1))

    def forward(self, numbers: Tensor, kinds: Tensor) -> Tensor:
        low = self.low(numbers)
        found = [table(kinds[:, at]) for at, table in enumerate(self.tables)]
        every = torch.stack([low, *found], 1)
        pairs = torch.bmm(every, every.transpose(1, 2)).flatten(1)
        return self.high(torch.cat([low, pairs], 1)).sigmoid()


def dlrm() -> Network:
    return Dlrm(), (torch.randn(64, 13), torch.randint(5000, (64, 12)))
