"""spark-sam, the built-in segmenter, as the PyTorch network that was trained; only what answering a prompt needs.

Shapes (S = 512, D = 128): picture [1, 3, S, S]; embed [1, D, S/8, S/8], hr4 [1, 32, S/4, S/4], hr2 [1, 16, S/2, S/2];
points [N, P, 2] in input pixels, labels [N, P] (1 include, 0 exclude, 2 and 3 box corners, -1 padding);
logits [N, 4, S/2, S/2], predicted IoU [N, 4].
"""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

S = 512
D = 128
# Repeats, kernel, stride, expansion, inputs, outputs (EfficientNet-Lite0).
STAGES = [
    (1, 3, 1, 1, 32, 16), (2, 3, 2, 6, 16, 24), (2, 5, 2, 6, 24, 40), (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112), (4, 5, 2, 6, 112, 192), (1, 3, 1, 6, 192, 320),
]  # fmt: skip


def depthwise(channels, kernel, stride=1, bias=True):
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=bias)


class MBConv(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        self.skip = stride == 1 and inputs == outputs
        layers = []
        if expansion != 1:
            layers += [nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden, eps=1e-3), nn.ReLU6()]
        layers += [depthwise(hidden, kernel, stride, False), nn.BatchNorm2d(hidden, eps=1e-3), nn.ReLU6()]
        layers += [nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x) if self.skip else self.layers(x)


class LayerNorm2d(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + 1e-6) * self.weight[:, None, None] + self.bias[:, None, None]


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32, eps=1e-3), nn.ReLU6())
        self.stages = nn.ModuleList()
        for repeats, kernel, stride, expansion, inputs, outputs in STAGES:
            blocks = [MBConv(inputs, outputs, kernel, stride, expansion)]
            blocks += [MBConv(outputs, outputs, kernel, 1, expansion) for _ in range(repeats - 1)]
            self.stages.append(nn.Sequential(*blocks))
        self.lateral = nn.ModuleList([nn.Conv2d(c, D, 1) for c in (40, 112, 320)])
        self.context = depthwise(D, 5)
        self.smooth_dw = depthwise(D, 3)
        self.smooth_pw = nn.Conv2d(D, D, 1)
        self.norm = LayerNorm2d(D)
        self.hr4 = nn.Conv2d(24, 32, 1)
        self.hr2 = nn.Conv2d(16, 16, 1)

    def forward(self, picture):
        x = self.stem(picture)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        f2, f4, f8, f16, f32 = maps[0], maps[1], maps[2], maps[4], maps[6]
        a, b, c = self.lateral[0](f8), self.lateral[1](f16), self.lateral[2](f32)
        c = c + self.context(c) + c.mean((2, 3), keepdim=True)
        b = b + F.interpolate(c, size=b.shape[-2:], mode="bilinear", align_corners=False)
        a = a + F.interpolate(b, size=a.shape[-2:], mode="bilinear", align_corners=False)
        a = a + self.smooth_pw(F.gelu(self.smooth_dw(a)))
        return self.norm(a), self.hr4(f4), self.hr2(f2)


class Attention(nn.Module):
    def __init__(self, down=1, heads=4):
        super().__init__()
        self.heads, inner = heads, D // down
        self.q_proj, self.k_proj, self.v_proj = nn.Linear(D, inner), nn.Linear(D, inner), nn.Linear(D, inner)
        self.out_proj = nn.Linear(inner, D)

    def forward(self, q, k, v):
        def split(x):
            return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)

        out = F.scaled_dot_product_attention(split(self.q_proj(q)), split(self.k_proj(k)), split(self.v_proj(v)))
        return self.out_proj(out.transpose(1, 2).flatten(2))


class TwoWay(nn.Module):
    def __init__(self, first):
        super().__init__()
        self.first = first
        self.self_attention = Attention()
        self.token_to_image, self.image_to_token = Attention(down=2), Attention(down=2)
        self.norms = nn.ModuleList([nn.LayerNorm(D) for _ in range(4)])
        self.mlp = nn.Sequential(nn.Linear(D, 512), nn.ReLU(), nn.Linear(512, D))

    def forward(self, tokens, image, token_pe, image_pe):
        if self.first:
            tokens = self.self_attention(tokens, tokens, tokens)
        else:
            placed = tokens + token_pe
            tokens = tokens + self.self_attention(placed, placed, tokens)
        tokens = self.norms[0](tokens)
        tokens = self.norms[1](tokens + self.token_to_image(tokens + token_pe, image + image_pe, image))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        image = self.norms[3](image + self.image_to_token(image + image_pe, tokens + token_pe, tokens))
        return tokens, image


class Local(nn.Module):
    def __init__(self):
        super().__init__()
        self.dw, self.norm = depthwise(D, 5), LayerNorm2d(D)
        self.pw1, self.pw2 = nn.Conv2d(D, 2 * D, 1), nn.Conv2d(2 * D, D, 1)

    def forward(self, x):
        return x + self.pw2(F.gelu(self.pw1(self.norm(self.dw(x)))))


def three_layers(outputs):
    return nn.Sequential(nn.Linear(D, D), nn.ReLU(), nn.Linear(D, D), nn.ReLU(), nn.Linear(D, outputs))


class Decoder(nn.Module):
    """Prompt encoder and mask decoder. All prompts are on one picture; positions of its cells are computed once."""

    def __init__(self):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, D // 2))
        self.point_embeddings = nn.Parameter(torch.randn(4, D) * 0.5)
        self.not_a_point = nn.Parameter(torch.randn(D) * 0.5)
        self.no_mask = nn.Parameter(torch.randn(D) * 0.1)
        self.mask_down = nn.Sequential(
            nn.Conv2d(6, 16, 2, 2), LayerNorm2d(16), nn.GELU(), nn.Conv2d(16, 64, 2, 2), LayerNorm2d(64), nn.GELU(),
            nn.Conv2d(64, D, 1),
        )  # fmt: skip
        cells = (torch.arange(S // 8) + 0.5) / (S // 8)
        y, x = torch.meshgrid(cells, cells, indexing="ij")
        self.register_buffer("image_pe", self.positions(torch.stack([x, y], -1)).flatten(0, 1)[None])
        self.output_tokens = nn.Parameter(torch.randn(5, D))
        self.layers = nn.ModuleList([TwoWay(True), TwoWay(False)])
        self.final_attention = Attention(down=2)
        self.norm_final = nn.LayerNorm(D)
        self.local = nn.ModuleList([Local(), Local()])
        self.up1 = nn.ConvTranspose2d(D, 32, 2, 2)
        self.up_norm = LayerNorm2d(32)
        self.up2 = nn.ConvTranspose2d(32, 16, 2, 2)
        self.hyper = nn.ModuleList([three_layers(16) for _ in range(4)])
        self.iou_head = three_layers(4)

    def positions(self, shares):
        angles = (2 * shares - 1) @ self.frequencies * (2 * math.pi)
        return torch.cat([angles.sin(), angles.cos()], -1)

    def raster(self, points, labels):
        """[N, 6, S/2, S/2]: previous logits (none), include and exclude points (fine, wide), the box's inside."""
        side = S // 2
        places = (torch.arange(side) + 0.5) * 2
        dx, dy = (places[None, None, :] - points[..., 0:1]) ** 2, (places[None, None, :] - points[..., 1:2]) ** 2
        maps = [torch.zeros(points.shape[0], side, side)]
        for label in (1, 0):
            on = (labels == label).float()[..., None]
            for sigma in (S / 64, S / 10):
                k = 2 * sigma * sigma
                blobs = torch.exp(-dy / k)[..., :, None] * (torch.exp(-dx / k) * on)[..., None, :]
                maps.append(blobs.amax(1))
        first, last = (labels == 2), (labels == 3)
        has_box = (first.any(1) & last.any(1)).float()[:, None, None]
        low, high = (points * first[..., None]).sum(1), (points * last[..., None]).sum(1)
        inside_x = ((places[None] >= low[:, 0:1]) & (places[None] <= high[:, 0:1])).float()
        inside_y = ((places[None] >= low[:, 1:2]) & (places[None] <= high[:, 1:2])).float()
        maps.append(inside_y[:, :, None] * inside_x[:, None, :] * has_box)
        return torch.stack(maps, 1)

    def forward(self, embed, hr4, hr2, points, labels):
        count = points.shape[0]
        sparse = self.positions((points + 0.5) / S)
        padding = (labels < 0)[..., None]
        sparse = torch.where(padding, self.not_a_point.expand_as(sparse), sparse + self.point_embeddings[labels.clamp(min=0)])
        dense = self.mask_down(self.raster(points, labels)) + self.no_mask[None, :, None, None]
        image = embed + dense
        side = image.shape[-1]
        image = image.flatten(2).transpose(1, 2)
        token_pe = torch.cat([self.output_tokens[None].expand(count, -1, -1), sparse], 1)
        tokens = token_pe
        for layer in self.layers:
            tokens, image = layer(tokens, image, token_pe, self.image_pe)
        tokens = self.norm_final(tokens + self.final_attention(tokens + token_pe, image + self.image_pe, image))
        x = image.transpose(1, 2).reshape(count, D, side, side)
        for layer in self.local:
            x = layer(x)
        x = F.gelu(self.up_norm(self.up1(x) + hr4))
        x = F.gelu(self.up2(x) + hr2)
        weights = torch.stack([head(tokens[:, 1 + i]) for i, head in enumerate(self.hyper)], 1)
        logits = (weights @ x.flatten(2)).view(count, 4, S // 2, S // 2)
        return logits, self.iou_head(tokens[:, 0])
