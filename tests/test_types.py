import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsac.types import Spec, Transition, describe_disagreement, flatten_batch

EXAMPLE = {"image": np.zeros((2, 2), np.uint8), "vector": np.zeros(3, np.float32)}


def test_specs_are_equal_and_hash_alike_by_value():
    spec, again = Spec.of(EXAMPLE), Spec.of(jax.tree.map(np.ones_like, EXAMPLE))
    assert spec == again
    assert hash(spec) == hash(again)


@pytest.mark.parametrize(
    "other",
    [
        {**EXAMPLE, "vector": np.zeros(4, np.float32)},
        {**EXAMPLE, "vector": np.zeros(3, np.float16)},
        {"image": EXAMPLE["image"], "another": EXAMPLE["vector"]},
        tuple(EXAMPLE.values()),
    ],
    ids=["shape", "dtype", "name", "structure"],
)
def test_specs_of_other_trees_differ(other):
    assert Spec.of(other) != Spec.of(EXAMPLE)


def test_a_spec_as_a_static_argument_is_traced_once():
    # Chex counts only calls that have an argument which is traced.
    function = jax.jit(chex.assert_max_traces(lambda spec, x: x, n=1), static_argnums=0)
    function(Spec.of(EXAMPLE), 0.0)
    function(Spec.of(jax.tree.map(np.ones_like, EXAMPLE)), 0.0)


def test_arrays_structs_and_python_scalars_give_the_same_spec():
    structs = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), EXAMPLE)
    assert Spec.of(structs) == Spec.of(EXAMPLE) == Spec.of(jax.tree.map(jnp.asarray, EXAMPLE))
    assert Spec.of(1.0) == Spec.of(jnp.float32(0))


def test_numpy_doubles_have_the_dtype_that_jax_will_give_them(x64):
    assert Spec.of(np.zeros(3)).leaves[0].dtype == jnp.float64
    with jax.enable_x64(False):
        assert Spec.of(np.zeros(3)).leaves[0].dtype == jnp.float32


def test_zeros_have_the_spec_behind_the_batch_shape():
    zeros = Spec.of(EXAMPLE).zeros(4, 5)
    assert zeros["image"].shape == (4, 5, 2, 2)
    assert zeros["image"].dtype == jnp.uint8
    assert zeros["vector"].shape == (4, 5, 3)
    assert not any(leaf.any() for leaf in jax.tree.leaves(zeros))


@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (0,)])
def test_batch_shape_is_what_all_leaves_share_in_front(shape):
    spec = Spec.of(EXAMPLE)
    batch_shape = spec.batch_shape("x", spec.zeros(*shape))
    assert batch_shape == shape
    flat = flatten_batch(spec.zeros(*shape), shape)
    assert flat["image"].shape == (np.prod(shape, dtype=int), 2, 2)


def batch_of(**leaves):
    return {**jax.tree.map(lambda x: np.stack([x] * 4), EXAMPLE), **leaves}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            batch_of(image=np.zeros((4, 2, 2), np.float32)),
            r"obs\['image'\] has dtype float32, expected uint8",
        ),
        (
            batch_of(vector=np.zeros((4, 2), np.float32)),
            r"obs\['vector'\] has shape \(4, 2\), expected \(\.\.\., 3\)",
        ),
        (
            batch_of(image=np.zeros(2, np.uint8)),
            r"obs\['image'\] has shape \(2,\), expected \(\.\.\., 2, 2\)",
        ),
        (
            batch_of(vector=np.zeros((5, 3), np.float32)),
            r"leading axes disagree \(obs\['image'\]: \(4,\), obs\['vector'\]: \(5,\)\)",
        ),
        (batch_of(vector=[0.0, 1.0, 2.0]), r"^obs\['vector'\] is a list, expected an array"),
        (batch_of(vector=None), r"^obs\['vector'\] is None, expected an array"),
        ({"image": EXAMPLE["image"]}, "obs has the tree structure"),
    ],
    ids=["dtype", "shape", "rank", "leading axes", "list", "None", "structure"],
)
def test_an_error_names_the_leaf_and_what_was_expected(tree, message):
    with pytest.raises(ValueError, match=message):
        Spec.of(EXAMPLE).batch_shape("obs", tree)


def test_a_transition_is_named_by_its_fields():
    spec = Spec.of(Transition(*(np.float32(0) for _ in range(5))))
    wrong = Transition(*(np.zeros(2, np.float32) for _ in range(5)))._replace(
        reward=np.zeros(2, int)
    )
    with pytest.raises(ValueError, match=r"batch\.reward has dtype"):
        spec.batch_shape("batch", wrong)


def test_a_disagreement_lists_every_leaf():
    text = describe_disagreement({"a": (1,), "b": (2, 3)})
    assert "a: (1,), b: (2, 3)" in text
