"""What a process says of itself."""

from inference.model_health import ModelHealth
from inference.repository import Model, Repository, VersionState


async def test_a_process_that_ends_is_able_to_answer_no_more_whatever_its_workers_do(
    model: Model,
) -> None:
    health = ModelHealth(
        Repository([VersionState("tiny", "1", live=True, model=model)], "tiny"), "service"
    )
    await health.start()
    said = [health.able]
    for able in (False, True):
        health.declare(able=able)
        said.append(health.able)
    await health.enter_graceful_shutdown()
    said.append(health.able)
    health.declare(able=True)
    said.append(health.able)
    assert said == [True, False, True, False, False]
