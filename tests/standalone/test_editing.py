"""Edits of programs with control flow: each against eager code that was written with the change in it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import d2s
from d2s.runtime.ir.program import Call, If, While


class Net(nn.Module):
    """A loop, a branch in it, and two linear layers."""

    def __init__(self, activation=torch.relu, scale=2.0, limit=5):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)
        self.activation, self.scale, self.limit = activation, scale, limit

    def forward(self, x):
        count = 0
        while x.norm() < 30 and count < self.limit:
            x = self.activation(self.fc(x)) * self.scale
            if x.sum() < 0:
                x = x - 1
            count += 1
        return self.out(x), count


INPUTS = [torch.full((3, 4), 0.2), torch.full((3, 4), -9.0), torch.full((3, 4), 0.0)]


def net():
    torch.manual_seed(0)
    return Net()


def editor(module=None, x=INPUTS[0]):
    return d2s.edit(d2s.to_static(module or net(), full_graph=True).forward.concrete_program(x))


def like(module, reference):
    """Check that a module does what another does, which has the same parameters."""
    reference.load_state_dict(module.state_dict(), strict=False)
    for x in INPUTS:
        found: list[torch.Tensor] = []
        expected: list[torch.Tensor] = []
        for one, answers in ((module, found), (reference, expected)):
            one.zero_grad()
            answer, *rest = one(x)
            answer.square().sum().backward()
            answers += [answer, *rest, one.fc.weight.grad, one.out.bias.grad]
        torch.testing.assert_close(found, expected)


def test_without_edits():
    like(editor().module(), net())


def test_finding():
    edit = editor()
    assert [op.target for op in edit.find("relu")] == [torch.relu] == [op.target for op in edit.find(torch.relu)]
    assert len(edit.find("torch.nn.functional.linear")) == 2
    assert [type(op) for op in edit.find(While)] == [While]
    assert len(edit.find()) == len(edit.find(Call)) + len(edit.find(If)) + 1
    relu = edit.find("relu")[0]
    assert edit.definition(relu.args[0]) is edit.find("linear")[0]
    assert edit.users(relu.result) == edit.find("mul")
    assert edit.definition(edit.program.inputs[0].value) is None


def test_the_activation_in_a_loop():
    edit = editor()
    for op in edit.find("relu"):
        edit.replace(op, torch.tanh, *op.args)
    assert "torch.tanh(" in str(edit.program) and "torch.relu" not in str(edit.program)
    like(edit.module(), Net(torch.tanh))


def test_the_original_stays_as_it_is():
    module = net()
    static = d2s.to_static(module, full_graph=True).forward
    before = str(static.concrete_program(INPUTS[0]))
    edit = d2s.edit(static.concrete_program(INPUTS[0]))
    first = edit.module()
    edit.change(edit.find("mul")[0], edit.find("mul")[0].args[0], 3.0)
    assert str(static.concrete_program(INPUTS[0])) == before
    like(first, net())
    like(edit.module(), Net(scale=3.0))
    assert edit.module().fc.weight is module.fc.weight


def test_a_function_with_control_flow_of_its_own():
    def clipped(x):
        return x / 2 if x.abs().max() > 1 else x

    edit = editor()
    op = edit.find("relu")[0]
    edit.replace_uses(op.result, edit.insert_after(op, clipped, op.result))
    like(edit.module(), Net(lambda x: clipped(torch.relu(x))))


def test_a_module_brings_its_parameters():
    torch.manual_seed(1)
    extra = nn.Linear(4, 4)
    edit = editor()
    op = edit.find("relu")[0]
    edit.replace(op, extra, op.args[0])
    module = edit.module()
    assert module.linear.weight is extra.weight
    like(module, Net(extra))
    assert extra.weight.grad.abs().sum() > 0


def test_another_program_is_spliced_in():
    @d2s.to_static
    def gate(x, y):
        if x.sum() > 0:
            x = x * y
        return x, y.sum()

    edit = editor()
    op = edit.find("relu")[0]
    gated, _ = edit.insert_after(op, gate.concrete_program(INPUTS[0], INPUTS[0]), op.result, op.args[0])
    edit.replace_uses(op.result, gated)
    like(edit.module(), Net(lambda x: gate.function(torch.relu(x), x)[0]))


def test_a_program_for_other_types_is_not_spliced_in():
    double = d2s.to_static(lambda x: x * 2, full_graph=True).concrete_program(torch.ones(3))
    edit = editor()
    with pytest.raises(d2s.D2SError, match=r"no program of .* is for values of these types"):
        edit.replace(edit.find("relu")[0], double, edit.find("relu")[0].args[0])


def test_a_check_after_each_matmul():
    def check(x):
        if not torch.isfinite(x).all():
            raise ValueError("not finite")

    edit = editor()
    with pytest.raises(d2s.D2SError, match="ends in more than one way"):
        edit.insert_after(edit.find("linear")[0], check, edit.find("linear")[0].result)
    for op in edit.find("linear"):
        finite = edit.insert_after(op, lambda x: torch.isfinite(x).all(), op.result)
        edit.insert_after(edit.definition(finite), torch._assert_async, finite, "not finite")
    module = edit.module()
    like(module, net())
    with pytest.raises(RuntimeError, match="not finite"):
        module(torch.full((3, 4), float("nan")))


def test_types_follow_an_edit():
    edit = editor()
    op = edit.find("relu")[0]
    edit.replace(op, lambda x: torch.relu(x).double().float().repeat(2, 1)[::2], op.args[0])
    (loop,) = edit.find(While)
    assert str(loop.results[0].type) == "float32[3, 4]"
    op = edit.find("linear")[-1]
    edit.replace(op, lambda x: x.repeat(2, 1), op.args[0])
    assert "t16" not in str(edit.program) and "float32[6, 4] = torch.Tensor.repeat(" in str(edit.program)
    edit.insert_after(edit.find("repeat")[-1], torch.neg, edit.find("repeat")[-1].result)
    edit.replace_uses(edit.find("repeat")[-1].result, edit.find("neg")[-1].result)
    assert edit.module()(INPUTS[0])[0].shape == (6, 4)


def test_types_in_a_loop_become_open():
    edit = editor()
    op = edit.find("relu")[0]
    edit.replace(op, lambda x: x[:2], op.args[0])
    (loop,) = edit.find(While)
    assert str(loop.results[0].type) == "float32[?, 4]"
    assert "float32[?, 2] = torch.nn.functional.linear(" in str(edit.program)
    like(edit.module(), Net(lambda x: x[:2]))


def test_a_type_that_does_not_fit():
    edit = editor()
    before = str(edit.program)
    op = edit.find("linear")[-1]
    with pytest.raises(d2s.D2SError, match="on values of these types it raises"):
        edit.change(op, op.args[0], *edit.find("linear")[-1].args[:0:-1])
    with pytest.raises(d2s.D2SError, match=r"decides on a tensor of type bool\[4\]"):
        edit.replace(edit.find("sum")[0], lambda x: x.sum(0), edit.find("sum")[0].args[0])
    assert str(edit.program) == before
    with pytest.raises(d2s.D2SError, match="one way gives"):
        edit.replace(edit.find("sub")[0], lambda x: x.double(), edit.find("sub")[0].args[0])
    assert str(edit.program) == before
    like(edit.module(), net())


def test_what_uses_a_value_of_another_type_must_take_it():
    product = d2s.to_static(lambda x: torch.relu(x) @ torch.ones(4, 2), full_graph=True)
    edit = d2s.edit(product.concrete_program(torch.ones(3, 4)))
    with pytest.raises(d2s.D2SError, match="matmul can't take what it is given now"):
        edit.replace(edit.find("relu")[0], lambda x: x[:, :3], edit.find("relu")[0].args[0])
    assert edit.module()(torch.ones(3, 4)).tolist() == [[4, 4]] * 3


def test_erasing():
    edit = editor()
    unused = edit.insert_before(edit.find("relu")[0], torch.exp, edit.find("relu")[0].args[0])
    edit.erase(edit.definition(unused))
    with pytest.raises(d2s.D2SError, match="used where it is not defined"):
        edit.erase(edit.find("mul")[0])
    like(edit.module(), net())


def test_ops_with_blocks():
    edit = editor()
    branch = next(op for op in edit.find(If) if edit.find("sub")[0] in op.orelse.ops + op.then.ops)
    edit.change(branch, condition=edit.insert_before(branch, torch.logical_not, branch.condition))

    class Other(Net):
        def forward(self, x):
            count = 0
            while x.norm() < 30 and count < self.limit:
                x = torch.relu(self.fc(x)) * self.scale
                if not x.sum() < 0:
                    x = x - 1
                count += 1
            return self.out(x), count

    like(edit.module(), Other())
    loop = edit.find(While)[0]
    edit.change(loop, inits=[edit.insert_before(loop, torch.neg, loop.inits[0]), *loop.inits[1:]])
    torch.testing.assert_close(edit.module()(INPUTS[0])[0], Other.forward(like_state(Other(), edit), -INPUTS[0])[0])
    with pytest.raises(d2s.D2SError, match="only 'inits' can be changed"):
        edit.change(loop, condition=None)


def like_state(reference, edit):
    reference.load_state_dict(edit.module().state_dict())
    return reference


def test_outputs():
    edit = editor()
    end = edit.program.body.terminator
    edit.set_output({"answer": end.value[0], "twice": (end.value[1], end.value[1])})
    answer, count = net()(INPUTS[0])
    torch.testing.assert_close(edit.module()(INPUTS[0]), {"answer": answer, "twice": (count, count)})


def test_lifting():
    edit = editor()
    edit.lift(edit.find("mul")[0], 1, "scale")
    like(edit.module(), net())
    for scale in (0.5, 4.0):
        expected = Net.forward(like_state(Net(scale=scale), edit), INPUTS[0])
        torch.testing.assert_close(edit.module()(INPUTS[0], scale=scale), expected)
    edit.lift(edit.find("linear")[0], 2, "bias")
    module = edit.module()
    torch.testing.assert_close(module(INPUTS[0], bias=net().fc.bias.detach()), net()(INPUTS[0]))
    with pytest.raises(TypeError, match="bias"):
        module(INPUTS[0])
    with pytest.raises(d2s.D2SError, match="one more argument"):
        edit.lift(edit.find("linear")[-1], 2, "bias")


def test_cutting():
    edit = editor()
    inside = edit.cut(edit.find("relu")[0].result)
    seen: list[torch.Tensor] = []

    def seeing(x):
        seen.append(torch.relu(x))
        return seen[-1]

    reference = Net(seeing)
    reference.load_state_dict(inside.state_dict())
    for x in INPUTS:
        seen.clear()
        reference(x)
        torch.testing.assert_close(inside(x), seen)
    whole = edit.cut(edit.find("linear")[-1].args[0])
    torch.testing.assert_close(net().out(whole(INPUTS[0])), net()(INPUTS[0])[0])
    assert "return" in str(whole.programs[0]) and len(whole.programs[0].program.body.ops) == 1


def test_a_cut_shows_values_as_they_were():
    def function(x):
        for _ in range(3):
            if x.sum() > 0:
                y = x * 2
                x = y.add_(1)
        return x

    edit = d2s.edit(d2s.to_static(function, full_graph=True).concrete_program(torch.ones(2)))
    values = [edit.cut(op.result)(torch.ones(2)) for op in edit.find("mul")]
    assert [value[0].tolist() for value in values] == [[2, 2], [6, 6], [14, 14]][: len(values)]


def test_all_programs_at_once():
    class Dropped(nn.Module):
        def forward(self, x):
            return nn.functional.dropout(torch.relu(x) if x.sum() > 0 else x, 0.5, self.training)

    static = d2s.to_static(Dropped(), full_graph=True)
    static(torch.ones(4))
    static.eval()(torch.ones(4))
    edit = d2s.edit(static)
    assert len(edit.programs) == 2 and len(edit.find("relu")) == 2
    for op in edit.find("relu"):
        edit.replace(op, torch.neg, *op.args)
    module = edit.module()
    assert module.eval()(torch.ones(4)).tolist() == [-1] * 4
    assert set(module.train()(torch.ones(400)[:4]).tolist()) <= {-2.0, -0.0}
    with pytest.raises(d2s.D2SError, match="there are 2 programs"):
        edit.users(edit.find("neg")[0].result)


def test_what_has_no_program():
    with pytest.raises(d2s.D2SError, match="has no program yet"):
        d2s.edit(d2s.to_static(net()))
    with pytest.raises(d2s.D2SError, match="nothing that `to_static` made"):
        d2s.edit(torch.relu)
