"""An AOTInductor package runs in a process without d2s, and in a program written in C++."""

import subprocess
import sys
import textwrap

import pytest
import torch
from adaptive_rnn import AdaptiveRNN
from torch.utils import cpp_extension

import d2s
from d2s.errors import D2SError

CALLS = ((2, 0.9), (3, 0.0), (5, 0.99))
IN_PYTHON = """
    import sys, torch
    run = torch._inductor.aoti_load_package(sys.argv[1])
    for size, confidence in {calls}:
        out, steps = run(torch.linspace(-1, 1, size * 4).reshape(size, 4), torch.tensor(confidence))
        print(" ".join(f"{{one:.4f}}" for one in out.flatten().tolist()), steps.item())
    assert "d2s" not in sys.modules
"""
IN_CPP = """
    #include <cstdio>
    #include <ATen/ATen.h>
    #include <c10/core/InferenceMode.h>
    #include <torch/csrc/inductor/aoti_package/model_package_loader.h>

    void show(torch::inductor::AOTIModelPackageLoader& loader, int size, float confidence) {
        auto x = at::linspace(-1, 1, size * 4).reshape({size, 4});
        auto found = loader.run({x, at::scalar_tensor(confidence)});
        auto out = found[0].flatten().contiguous();
        for (int i = 0; i < out.numel(); i++) std::printf("%.4f ", out.data_ptr<float>()[i]);
        std::printf("%ld\\n", found[1].item<long>());
    }

    int main(int count, char** words) {
        c10::InferenceMode mode;
        torch::inductor::AOTIModelPackageLoader loader(words[1]);
        show(loader, 2, 0.9);
        show(loader, 3, 0.0);
        show(loader, 5, 0.99);
    }
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    torch.manual_seed(1)
    model = AdaptiveRNN(4, 8, 20).eval()
    path = tmp_path_factory.mktemp("aoti") / "rnn.pt2"
    d2s.to_aoti(model, path, [d2s.InputSpec([None, 4]), d2s.InputSpec([])])
    return path, [expected(model, *call) for call in CALLS]


def expected(model, size, confidence):
    with torch.no_grad():
        out, steps = model(torch.linspace(-1, 1, size * 4).reshape(size, 4), torch.tensor(confidence))
    return [*out.flatten().tolist(), steps]


def numbers(text):
    return [[float(word) for word in line.split()] for line in text.splitlines()]


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return numbers(done.stdout)


def close(found, wanted):
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == pytest.approx(theirs, abs=1e-4)


def test_in_python_without_d2s(package, tmp_path):
    path, wanted = package
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(IN_PYTHON.format(calls=CALLS)))
    close(run(sys.executable, script, path), wanted)


def test_in_cpp(package, tmp_path):
    path, wanted = package
    source, program = tmp_path / "main.cpp", tmp_path / "main"
    source.write_text(textwrap.dedent(IN_CPP))
    (libraries,) = cpp_extension.library_paths()
    includes = [f"-I{folder}" for folder in cpp_extension.include_paths()]
    links = [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-ltorch", "-ltorch_cpu", "-lc10"]
    run("g++", "-std=c++20", *includes, source, "-o", program, *links)
    close(run(program, path), wanted)


def test_a_refusal_writes_nothing(tmp_path):
    path = tmp_path / "refused.pt2"
    with pytest.raises(D2SError, match="append"):
        d2s.to_aoti(appending, path, [torch.ones(2)])
    assert list(tmp_path.iterdir()) == []


def appending(x):
    found = []
    while x.sum() > 1:
        found.append(x)
        x = x / 2
    return x
