"Power cut, out of memory, closed laptop: whatever was under way goes on, and ends where it would have ended."

import time

import jobs
import pytest
from harness import contents, moments, record, run, so_many, unfinished

KILLS = {
    "training": so_many(60, 6),
    "crop": so_many(50, 5),
    "to_zarr": so_many(50, 5),
    "sweep": so_many(26, 2),
    "phase": so_many(14, 2),
}


@pytest.fixture(scope="module")
def all_jobs(tmp_path_factory, root):
    return jobs.single(jobs.plate(tmp_path_factory.mktemp("plate") / "fields"), root / "nbs")


@pytest.mark.parametrize("name", KILLS)
def test_killed_at_any_moment(name, all_jobs, tmp_path):
    "Half of the kills strike at a change of a file, where most can go wrong, half at any moment; some strike a parent and spare its children."
    job = all_jobs[name]
    random = moments(len(name))
    began = time.monotonic()
    _, changes, error = run(job, tmp_path / "whole")
    seconds = time.monotonic() - began
    expected = contents(tmp_path / "whole")
    assert error is None, error
    assert not unfinished(tmp_path / "whole"), error
    kills = 0
    places = 0
    while kills < KILLS[name]:
        folder = tmp_path / f"killed{places}"
        places = places + 1
        for _ in range(random.choice([1, 1, 2, 3])):
            at_a_change = random.random() < 0.5 and changes > 1
            state, _, error = (
                run(job, folder, die_at=random.randint(1, changes))
                if at_a_change
                else run(job, folder, die_after=random.uniform(0, seconds), alone=random.random() < 0.3)
            )
            kills += state == "killed"
            assert error is None, error
        state, _, error = run(job, folder)
        assert state == "done", error
        assert error is None, error
        assert not unfinished(folder)
        assert contents(folder) == expected
    record(f"killed_{name}", kills=kills, interrupted_jobs=places, seconds=round(seconds, 2), changes_of_files=changes)
