"""StyleGAN2 in PyTorch, for benchmarks: the arithmetic of the official code on a CPU.

`grouped` multiplies the styles into one kernel per sample and convolves in groups, as the official
inference does; `scaled` multiplies maps before and after one convolution, as its training does.
Resampling is a depthwise convolution of the image with inserted zeros. NCHW, kernels OIHW.
"""

import math

import torch
from torch.nn import functional

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
FILTER = torch.outer(TAPS, TAPS)
GAIN = math.sqrt(2)


class Resampling(torch.autograd.Function):
    """Zeros between the pixels, borders, the filter, every n-th pixel; as its own gradient.

    (PyTorch's second derivative of a depthwise convolution is a loop over the maps.)
    """

    @staticmethod
    def forward(ctx, x, up, down, padding, gain):
        count, maps, height, width = x.shape
        ctx.options = (up, down, padding, gain, height)
        if up > 1:
            x = functional.pad(
                x.reshape(count, maps, height, 1, width, 1), (0, up - 1, 0, 0, 0, up - 1)
            )
            x = x.reshape(count, maps, height * up, width * up)
        x = functional.pad(x, (*padding, *padding))
        taps = (FILTER * gain)[None, None].repeat(maps, 1, 1, 1)
        return functional.conv2d(x, taps, stride=down, groups=maps)

    @staticmethod
    def backward(ctx, dy):
        up, down, (start, _), gain, side = ctx.options
        end = side * up - dy.shape[2] * down + start - up + 1
        padding = (len(TAPS) - start - 1, end)
        return Resampling.apply(dy, down, up, padding, gain), None, None, None, None


def upfirdn(x, up=1, down=1, padding=(0, 0), gain=1.0):
    """`padding`: at the start and the end of both axes, of a square image."""
    return Resampling.apply(x, up, down, padding, gain)


def dense(x, weight, bias, rate=1.0, bias_scale=1.0):
    return functional.linear(x, weight * (rate / math.sqrt(weight.shape[1])), bias * bias_scale)


def activate(x, bias=None, gain=GAIN):
    if bias is not None:
        x = x + bias.reshape(1, -1, *[1] * (x.ndim - 2))
    return functional.leaky_relu(x, 0.2) * gain


def convolve(x, kernel, up=1, groups=1):
    """3 x 3 or 1 x 1, of the upsampled image when `up`."""
    if up == 1:
        return functional.conv2d(x, kernel, padding=kernel.shape[2] // 2, groups=groups)
    outputs = kernel.shape[0] // groups
    turned = kernel.reshape(groups, outputs, *kernel.shape[1:]).transpose(1, 2)
    turned = turned.reshape(groups * kernel.shape[1], outputs, *kernel.shape[2:])
    x = functional.conv_transpose2d(x, turned, stride=up, groups=groups)
    return upfirdn(x, padding=(1, 1), gain=up * up)


def grouped(x, kernel, styles, up=1, demodulate=True):
    kernels = kernel[None] * styles[:, None, :, None, None]
    if demodulate:
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    count = len(x)
    x = x.reshape(1, -1, *x.shape[2:])
    y = convolve(x, kernels.reshape(-1, *kernel.shape[1:]), up, groups=count)
    return y.reshape(count, -1, *y.shape[2:])


def scaled(x, kernel, styles, up=1, demodulate=True):
    y = convolve(x * styles[:, :, None, None], kernel, up)
    if not demodulate:
        return y
    squares = (kernel[None] * styles[:, None, :, None, None]).square().sum((2, 3, 4))
    return y * (squares + 1e-8).rsqrt()[:, :, None, None]


MODULATED = {"grouped": grouped, "scaled": scaled}


class Network(torch.nn.Module):
    """Tensors by name, from arrays in ganzoo's layout (HWIO and [in, out])."""

    def __init__(self, arrays, prefix):
        super().__init__()
        self.values = torch.nn.ParameterDict()
        for name, value in arrays.items():
            if name.startswith(prefix):
                fixed = name.endswith(("/noise", "/w_avg"))
                value = torch.tensor(value)
                if value.ndim == 4:
                    value = value.permute(3, 2, 0, 1)
                elif name.endswith("/const"):
                    value = value.permute(2, 0, 1)
                elif name.endswith("/kernel"):
                    value = value.T
                value = torch.nn.Parameter(value.contiguous(), requires_grad=not fixed)
                self.values[name[len(prefix) :].replace("/", "-")] = value

    def get(self, name):
        return self.values[name.replace("/", "-")]

    def dense(self, x, name, rate=1.0, bias_scale=1.0):
        return dense(x, self.get(f"{name}/kernel"), self.get(f"{name}/bias"), rate, bias_scale)

    def trainable(self):
        return [value for value in self.parameters() if value.requires_grad]


class Generator(Network):
    def __init__(self, arrays, sides, form):
        super().__init__(arrays, "generator/")
        self.sides = sides
        self.num_ws = 2 * len(sides)
        self.modulated = MODULATED[form]

    def mapping(self, z):
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for i in range(8):
            w = activate(self.dense(w, f"mapping/fc{i}", 0.01, 0.01))
        return w[:, None].repeat(1, self.num_ws, 1)

    def forward(self, z, noise="const"):
        return self.synthesis(self.mapping(z), noise)

    def synthesis(self, ws, noise="const"):
        x, image, layer = None, None, 0
        for side in self.sides:
            block = f"synthesis/b{side}"
            if side == 4:
                x = self.get(f"{block}/const")[None].repeat(len(ws), 1, 1, 1)
            else:
                x = self._styled(x, f"{block}/conv0", ws[:, layer], side, noise, up=2)
                layer += 1
            x = self._styled(x, f"{block}/conv1", ws[:, layer], side, noise)
            layer += 1
            own = self._image(x, f"{block}/torgb", ws[:, layer])
            image = own if image is None else upfirdn(image, 2, 1, (2, 1), 4.0) + own
        return image

    def _styled(self, x, name, w, side, noise, up=1):
        styles = self.dense(w, f"{name}/affine")
        x = self.modulated(x, self.get(f"{name}/kernel"), styles, up)
        stored = noise == "const"
        drawn = self.get(f"{name}/noise") if stored else torch.randn(len(x), 1, side, side)
        return activate(x + drawn * self.get(f"{name}/noise_strength"), self.get(f"{name}/bias"))

    def _image(self, x, name, w):
        kernel = self.get(f"{name}/kernel")
        styles = self.dense(w, f"{name}/affine") / math.sqrt(kernel.shape[1])
        y = self.modulated(x, kernel, styles, demodulate=False)
        return y + self.get(f"{name}/bias")[:, None, None]


class Discriminator(Network):
    def __init__(self, arrays, sides):
        super().__init__(arrays, "discriminator/")
        self.sides = sides[:0:-1]

    def forward(self, x):
        x = activate(self._conv(x, f"b{self.sides[0]}/fromrgb"), self._bias("fromrgb"))
        for side in self.sides:
            short = self._conv(x, f"b{side}/skip", down=2) * math.sqrt(0.5)
            x = activate(self._conv(x, f"b{side}/conv0"), self.get(f"b{side}/conv0/bias"))
            x = self._conv(x, f"b{side}/conv1", down=2)
            x = short + activate(x, self.get(f"b{side}/conv1/bias"), 1.0)
        x = torch.cat([x, self._deviation(x)], 1)
        x = activate(self._conv(x, "b4/conv"), self.get("b4/conv/bias"))
        x = x.permute(0, 2, 3, 1).flatten(1)  # ganzoo's order of the inputs
        return self.dense(activate(self.dense(x, "b4/fc")), "b4/out")

    def _bias(self, name):
        return self.get(f"b{self.sides[0]}/{name}/bias")

    def _conv(self, x, name, down=1):
        kernel = self.get(f"{name}/kernel")
        size = kernel.shape[2]
        kernel = kernel / math.sqrt(kernel[0].numel())
        if down == 1:
            return functional.conv2d(x, kernel, padding=size // 2)
        if size == 1:
            return functional.conv2d(upfirdn(x, down=2, padding=(1, 1)), kernel)
        return functional.conv2d(upfirdn(x, padding=(2, 2)), kernel, stride=2)

    @staticmethod
    def _deviation(x):
        groups = x.reshape(min(4, len(x)), -1, *x.shape[1:])
        spread = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        return spread.reshape(-1, 1, 1, 1).repeat(len(groups), 1, *x.shape[2:])


class Trainer:
    """The official training step: style mixing, lazy R1 and path length, average of the weights."""

    def __init__(self, generator, discriminator, average, real):
        self.generator, self.discriminator, self.average = generator, discriminator, average
        self.real = real
        self.adam_g = self._adam(generator, 4)
        self.adam_d = self._adam(discriminator, 16)
        self.path_mean = torch.zeros(())
        self.step_number = 0

    @staticmethod
    def _adam(network, interval):
        share = interval / (interval + 1)
        return torch.optim.Adam(
            network.trainable(), 0.002 * share, betas=(0.0, 0.99**share), fused=True
        )

    def step(self):
        self._play("discriminator", self._discriminator_loss())
        if self.step_number % 16 == 0:
            self._play("discriminator", 16 * self._r1())
        if self.step_number % 4 == 0:
            self._play("generator", 4 * self._path_length())
        self._play("generator", functional.softplus(-self._judged(len(self.real))).mean())
        self._move_average()
        self.step_number += 1

    def _play(self, player, loss):
        adam = self.adam_g if player == "generator" else self.adam_d
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    def _ws(self, count):
        size = self.generator.get("mapping/fc0/kernel").shape[1]
        ws = self.generator.mapping(torch.randn(count, size))
        mean = self.generator.get("mapping/w_avg")
        mean.lerp_(ws[:, 0].detach().mean(0), 0.002)
        other = self.generator.mapping(torch.randn(count, size))
        first = int(torch.randint(1, ws.shape[1], ()))
        if float(torch.rand(())) < 0.9:
            ws = torch.cat([ws[:, :first], other[:, first:]], 1)
        return ws

    def _judged(self, count):
        self.discriminator.requires_grad_(False)
        logits = self.discriminator(self.generator.synthesis(self._ws(count), "random"))
        for value in self.discriminator.parameters():
            value.requires_grad_(True)
        return logits

    def _discriminator_loss(self):
        with torch.no_grad():
            fake = self.generator.synthesis(self._ws(len(self.real)), "random")
        loss = functional.softplus(self.discriminator(fake)).mean()
        return loss + functional.softplus(-self.discriminator(self.real)).mean()

    def _r1(self):
        real = self.real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.discriminator(real).sum(), real, create_graph=True)
        return 5 * slope.square().sum((1, 2, 3)).mean()

    def _path_length(self):
        ws = self._ws(max(len(self.real) // 2, 1))
        image = self.generator.synthesis(ws, "random")
        noise = torch.randn_like(image) / math.sqrt(image.shape[2] * image.shape[3])
        (slope,) = torch.autograd.grad((image * noise).sum(), ws, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        mean = self.path_mean.lerp(lengths.mean(), 0.01)
        self.path_mean = mean.detach()
        return 2 * (lengths - mean).square().mean()

    def _move_average(self):
        with torch.no_grad():
            mine, theirs = list(self.average.parameters()), list(self.generator.parameters())
            torch._foreach_lerp_(mine, theirs, 1 - 0.5 ** (len(self.real) / 10_000))
