from gateway.deadline import Deadline


def test_what_passes_is_no_longer_left_and_never_less_than_nothing() -> None:
    now_s = 100.0
    deadline = Deadline.after(2.0, lambda: now_s)
    assert deadline.left_s == 2.0
    now_s = 101.5
    assert deadline.left_s == 0.5
    now_s = 103.0
    assert deadline.left_s == 0.0
