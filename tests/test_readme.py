"""The README's example runs as it stands, and learns."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_the_example_of_the_readme_learns_without_gymnasium():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert "gymnasium" not in example
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    rewards, act, state, jnp = (names[n] for n in ("rewards", "jaxsac", "state", "jnp"))
    act = act.act
    assert rewards[-500:].mean() > -0.2 > rewards[:200].mean()
    assert act(state, jnp.array([2.0]))[0] < -0.8
    assert act(state, jnp.array([-2.0]))[0] > 0.8


def test_the_readme_shows_the_two_commands():
    text = README.read_text()
    assert "make train ENV=HalfCheetah-v4" in text
    assert "make test" in text
