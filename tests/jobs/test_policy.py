"""Policies: what an operator allows."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from wattest.audit.dsse import generate_key
from wattest.engine import Limits
from wattest.errors import Forbidden, InputError, JobError
from wattest.jobs.fetch.address import parse_address
from wattest.jobs.policy import Policies, read_policy, signature_bytes
from wattest.jobs.spec import JobSpec


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a policy; returns what applies then."""

    def write(*texts: str) -> Policies:
        policies = []
        for number, text in enumerate(texts):
            path = tmp_path / f"policy{number}.toml"
            path.write_text(text)
            policies.append(read_policy(path))
        return Policies(policies)

    return write


ALLOWED = """[origins]
allow = ["https://data.org/public/", "https://*.wild.org", "http://port.org:8080/",
         "s3://bucket/set/", "data:", "file:///srv/in/"]
"""


@pytest.mark.parametrize(
    "text",
    [
        "https://data.org/public/x.csv",
        "https://DATA.org:443/public/a/b",
        "https://user:secret@data.org/public/x",
        "https://a.wild.org/x",
        "https://a.b.wild.org/",
        "http://port.org:8080/x",
        "s3://bucket/set/x",
        "data:,x",
        "file:///srv/in/x",
        "/srv/in/deep/x",
        "zip://m::https://data.org/public/a.zip",
        "https://data.org/public/x?y=/../z",
    ],
)
def test_origins_that_are_allowed(write: Any, text: str) -> None:
    write(ALLOWED).allow_address(parse_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "http://data.org/public/x",
        "https://data.org/private/x",
        "https://data.org/publicity/x",
        "https://data.org/public/../private/x",
        "https://data.org/public/%2e%2e/private/x",
        "https://data.org/public/%2E%2e%2Fprivate",
        "https://data.org:8443/public/x",
        "https://data.org.evil.org/public/x",
        "https://data.org@evil.org/public/x",
        "https://wild.org/x",
        "https://evilwild.org/x",
        "http://port.org/x",
        "s3://other/set/x",
        "s3://bucket/settle/x",
        "/srv/in/../out/x",
        "/etc/passwd",
        f"sha256:{'0' * 64}",
        "ipfs://QmeZRGhe4PmjctYVSVHuEiA9oSXnqmYa4kQubSHgWbjv72",
        "zip://m::https://evil.org/a.zip",
        "zip://m::/etc/a.zip",
    ],
)
def test_origins_that_are_not(write: Any, text: str) -> None:
    with pytest.raises(Forbidden, match=r"origin is not allowed; .* \(policy .*policy0\.toml\)"):
        write(ALLOWED).allow_address(parse_address(text))


def test_an_endpoint_is_an_origin_too(write: Any) -> None:
    policies = write('[origins]\nallow = ["s3://bucket/", "https://s3.org/"]')
    policies.allow_address(parse_address("s3://bucket/k", {"endpoint": "https://s3.org"}))
    for option in ("endpoint", "endpoint_url", "Endpoint-URL"):
        with pytest.raises(Forbidden, match=r"evil\.org"):
            policies.allow_address(parse_address("s3://bucket/k", {option: "https://evil.org"}))


def test_a_link_does_not_lead_out_of_an_allowed_directory(write: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to("/etc/passwd")
    policies = write(f'[origins]\nallow = ["{(tmp_path / "in").as_uri()}/"]')
    policies.allow_address(parse_address(f"{tmp_path}/in/file"))
    with pytest.raises(Forbidden):
        policies.allow_address(parse_address(f"{tmp_path}/in/link"))


def test_an_empty_list_allows_nothing_and_no_list_everything(write: Any) -> None:
    with pytest.raises(Forbidden, match="allowed are none"):
        write("[origins]\nallow = []").allow_address(parse_address("data:,x"))
    write("").allow_address(parse_address("https://anywhere/x"))


def spec(**limits: Any) -> JobSpec:
    return JobSpec(parse_address("/p.wasm"), limits=Limits(**limits))


LIMITED = """[limits]
fuel = 1000
timeout-seconds = 2.5
memory-bytes = 1_000_000
bytes-written = 10
frames = 5
fetch-bytes = 7
"""


def test_limits_are_lowered_and_never_raised(write: Any) -> None:
    policies = write(LIMITED)
    given = policies.apply(spec()).limits
    assert (given.fuel, given.wall_time, given.memory_pages) == (1000, 2.5, 15)
    assert (given.bytes_written, given.frames) == (10, 5)
    assert given.slots == Limits().slots
    assert policies.apply(spec(fuel=10)).limits.fuel == 10
    for limits in ({"fuel": 1001}, {"fuel": None}, {"wall_time": 3.0}, {"memory_pages": 16}):
        with pytest.raises(Forbidden, match="is more than the"):
            policies.apply(spec(**limits))
    assert (policies.fetch_limit(100), policies.fetch_limit(3)) == (7, 3)


def test_of_two_policies_both_apply(write: Any) -> None:
    policies = write(LIMITED, "[limits]\nfuel = 500\nframes = 1_000_000_000")
    given = policies.apply(spec()).limits
    assert (given.fuel, given.frames) == (500, 5)
    with pytest.raises(Forbidden, match="policy1"):
        policies.apply(spec(fuel=700))


def test_what_can_be_forbidden(write: Any) -> None:
    policies = write('[run]\nforbid = ["real-clock", "system-random", "live-directories"]')
    policies.apply(spec())
    from dataclasses import replace

    from wattest.jobs.job import LiveDirectory

    for name, change in (
        ("real-clock", {"clock": "real"}),
        ("system-random", {"seed": None}),
        ("live-directories", {"directories": (LiveDirectory(Path("/x"), "/x"),)}),
    ):
        with pytest.raises(Forbidden, match=f"{name} is not allowed"):
            policies.apply(replace(spec(), **change))  # type: ignore[arg-type]


def test_programs_by_digest_and_by_signature(write: Any, tmp_path: Path) -> None:
    key, other = generate_key(), generate_key()
    (tmp_path / "team.pub").write_bytes(key.public.to_pem())
    binary = b"\0asm program"
    digest = hashlib.sha256(binary).hexdigest()
    policies = write(f'[programs]\ndigests = ["sha256:{digest}"]\nsigners = ["team.pub"]')
    policies.allow_module("p", binary, digest, lambda: None)
    changed = binary + b"!"
    again = hashlib.sha256(changed).hexdigest()
    policies.allow_module("p", changed, again, lambda: key.sign(changed))
    for signature, reason in (
        (None, "there is no signature beside it"),
        (other.sign(changed), "not by one of the allowed keys"),
        (key.sign(binary), "not by one of the allowed keys"),
        (b"\0" * 64, "not by one of the allowed keys"),
    ):
        with pytest.raises(Forbidden, match=reason):
            policies.allow_module("p", changed, again, lambda signature=signature: signature)  # type: ignore[misc]
    only = write(f'[programs]\ndigests = ["sha256:{digest}"]')
    with pytest.raises(Forbidden, match=f"p: sha256:{again} is not among"):
        only.allow_module("p", changed, again, lambda: key.sign(changed))
    inline = write(f'[programs]\nsigners = ["""{key.public.to_pem().decode()}"""]')
    inline.allow_module("p", changed, again, lambda: key.sign(changed))


def test_forms_of_a_signature() -> None:
    raw = bytes(range(64))
    assert signature_bytes(raw) == raw
    assert signature_bytes(base64.b64encode(raw) + b"\n") == raw
    assert signature_bytes(raw.hex().encode()) == raw
    for wrong in (b"", b"x" * 63, b"not base64!", base64.b64encode(raw[:-1]), b"\xff" * 128):
        assert signature_bytes(wrong) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "not TOML"),
        ("[orgins]", r"\[orgins\] is not known"),
        ("origins = 1", r"\[origins\] is no table"),
        ("[origins]\nalow = []", r"origins\.alow is not known"),
        ("[origins]\nallow = 'x'", "a list of texts"),
        ("[origins]\nallow = ['host/path']", "'host/path' is not SCHEME:"),
        ("[programs]\ndigests = ['abc']", "'abc' is not sha256:DIGITS"),
        ("[programs]\nsigners = ['missing.pub']", r"missing\.pub: No such file"),
        ("[programs]\nsigners = ['policy0.toml']", "not a public key"),
        ("[limits]\nfule = 1", r"limits\.fule is not known"),
        ("[limits]\nfuel = '1'", "a number from 0 on"),
        ("[limits]\nfuel = true", "a number from 0 on"),
        ("[run]\nforbid = ['everything']", "'everything' is not known"),
    ],
)
def test_what_is_no_policy(write: Any, text: str, reason: str) -> None:
    with pytest.raises(JobError, match=rf"policy0\.toml: .*{reason}"):
        write(text)


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml: No such file"):
        read_policy(tmp_path / "none.toml")
