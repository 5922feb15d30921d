"""The shape of the repository: what lies where, and what no file may hold."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("schemas", "models", "streams", "ops")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
#: Longest module we can read in one sitting; most are a third of it.
MOST_LINES = 400
# Written in pieces, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(r"(?<![\w.])/" + r"(home|root|Users|work|mnt/[a-z])/")
REGISTRY_HOSTS = re.compile(
    r"pypi\.|pythonhosted\.|repo1?\.maven|registry-1\.docker|docker\.io/|ghcr\.io/|quay\.io/"
    r"|download\.pytorch|artifact" + r"ory|index-url[ =]+http"
)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_files() -> Iterator[tuple[Path, str]]:
    folders = [ROOT / name for name in (*PACKAGES, "tests", "docs", ".ci")]
    paths = [path for folder in folders if folder.exists() for path in folder.rglob("*")]
    paths += [path for path in ROOT.iterdir() if path.name not in {".git", ".env"}]
    for path in sorted(paths):
        if not path.is_file() or "__pycache__" in path.parts or path == Path(__file__).resolve():
            continue
        try:
            yield path, path.read_text()
        except UnicodeDecodeError:
            continue


def test_the_parts_of_the_design_are_there() -> None:
    for name in (*PACKAGES, "tests/unit", "tests/flow", "tests/contract", "tests/broker", "tests/chaos"):
        assert (ROOT / name).is_dir(), name
    for name in ("docker-compose.yml", "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "docs/adr"):
        assert (ROOT / name).exists(), name
    for stage in ("featurize", "infer", "history", "alert"):
        assert (ROOT / f"streams/{stage}.py").is_file()


def test_every_folder_of_modules_is_a_listed_package() -> None:
    listed = {pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert listed == set(PACKAGES)
    for folder in {path.parent for path in MODULES}:
        assert (folder / "__init__.py").is_file(), f"{relative(folder)} would be left out of an install"


def test_no_folder_is_named_test() -> None:
    folders = {path.parent for path in (*MODULES, *TESTS)}
    assert not [relative(folder) for folder in folders if folder.name == "test"]


def test_no_file_holds_a_path_of_some_machine_or_the_address_of_a_registry() -> None:
    found = [
        f"{relative(path)}: {match[0]}"
        for path, text in text_files()
        for pattern in (MACHINE_PATHS, REGISTRY_HOSTS)
        if (match := pattern.search(text))
    ]
    assert found == []


def test_constraints_pin_versions_and_hold_nothing_else() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(set(names)), "one line a package, in order"
    for line in lines:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*", line), line


def test_every_dependency_is_pinned() -> None:
    pinned = {line.split("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    project = PROJECT["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {re.split(r"[\[<>=!~; ]", requirement)[0].lower().replace("_", "-") for requirement in asked}
    assert names - pinned == set(), "run `make pins`"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_waives_no_documentation_and_no_whole_line_of_rules(path: Path) -> None:
    waivers = re.findall(
        r"# (?:noqa|ruff: noqa|type: ignore)\b(?!: ?[A-Z]|\[).*|# noqa: ?D\d+.*", path.read_text()
    )
    assert waivers == []


def caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    return {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}


def test_everything_is_caught_in_one_place_only() -> None:
    places = [
        relative(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and "Exception" in caught(node)
    ]
    assert len(places) <= 1, places


def attributes(path: Path) -> set[str]:
    return {
        ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)
    }


#: Hands the whole environment on to the workers it starts, and reads nothing of it.
PASSES_THE_ENVIRONMENT_ON = {"ops/worker_processes.py", "streams/feeds/reading_child.py"}

#: ``utc_now``; and a gauge that Prometheus wants in Unix time and nothing decides by.
READ_THE_WALL_CLOCK = {"streams/stage.py", "streams/tally.py"}


def test_the_environment_is_read_by_the_settings_alone() -> None:
    readers = {relative(path) for path in MODULES if attributes(path) & {"os.environ", "os.getenv"}}
    assert readers <= PASSES_THE_ENVIRONMENT_ON  # pydantic-settings reads it for streams/settings.py


def test_the_wall_clock_is_read_in_one_place() -> None:
    clocks = {"datetime.now", "datetime.utcnow", "time.time", "time.time_ns", "datetime.datetime.now"}
    assert {relative(path) for path in MODULES if attributes(path) & clocks} <= READ_THE_WALL_CLOCK


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    script = (ROOT / ".ci/run").read_text().splitlines()
    assert script[-1] == "exec make test"
    assert re.search(r"^\s*(?:\$ )?make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


#: An outage of so many seconds, and a reader that hangs: there, time itself is what is tested.
SLEEP_IS_THE_SUBJECT = {
    "tests/broker/test_feed_dicom_survives.py",
    "tests/broker/test_feed_http_survives.py",
    "tests/broker/test_feed_mllp_survives.py",
    "tests/odd_reader.py",
}


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_do_not_sleep_as_a_condition(path: Path) -> None:
    if relative(path) in SLEEP_IS_THE_SUBJECT:
        return
    assert not attributes(path) & {"time.sleep"}
