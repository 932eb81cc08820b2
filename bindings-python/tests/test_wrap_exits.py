"""How a wrapped call can end besides by its reply: signals, timeouts, other threads, forks, the process's end. Nothing
hangs, and what may have been billed is never booked as nothing, nor twice."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from provider import Provider

import spendrail
from conftest import CLAUDE, GPT, billed, catalog, script, spent

ASK: Any = {"messages": [{"role": "user", "content": "What does a budget protect?"}], "max_tokens": 200}
ACME: Any = {"tenant": "acme"}
SLOWLY = script("output=150 delay_ms=20")
IN_PIECES = script("output=150 delay_ms=1")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def flags(reply: object) -> tuple[str, ...] | None:
    found = spendrail.receipt_of(reply)
    return None if found is None else found.flags


def left_early(guard: spendrail.Guard) -> None:
    """The floor and a margin are spent, the rest is given back."""
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and (held, unconfirmed) == (0, 0)


def lost(guard: spendrail.Guard) -> None:
    """The floor is spent, the rest is unconfirmed."""
    gc.collect()
    used, held, unconfirmed = spent(guard, **ACME)
    assert used > 0 and held == 0 and unconfirmed > 0


# -- a stream by every door -------------------------------------------------------------------------


def resource(guard: spendrail.Guard, client: Any) -> tuple[Any, str]:
    wrapped: Any = guard.wrap(client, **ACME)
    is_claude = type(client).__name__.endswith("Anthropic")
    return (wrapped.messages, CLAUDE) if is_claude else (wrapped.chat.completions, GPT)


@pytest.mark.parametrize("door", ["with_raw_response", "with_streaming_response"])
@pytest.mark.parametrize("sdk", ["claude", "gpt"])
def test_a_stream_out_of_a_raw_response(
    guard: spendrail.Guard, provider: Provider, claude: Any, gpt: Any, sdk: str, door: str
) -> None:
    create, model = resource(guard, {"claude": claude, "gpt": gpt}[sdk])
    made = getattr(create, door).create(model=model, stream=True, **ASK)
    if door == "with_raw_response":
        stream = made.parse()
        assert list(stream)
    else:
        with made as response:
            stream = response.parse()
            assert list(stream)
    assert flags(stream) == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


@pytest.mark.parametrize("sdk", ["claude", "gpt"])
def test_an_async_stream_out_of_a_raw_response(guard: spendrail.Guard, provider: Provider, sdk: str) -> None:
    async def main() -> None:
        client: Any = (
            anthropic.AsyncAnthropic(api_key="acme", base_url=provider.url)
            if sdk == "claude"
            else openai.AsyncOpenAI(api_key="acme", base_url=f"{provider.url}/v1")
        )
        create, model = resource(guard, client)
        async with create.with_streaming_response.create(model=model, stream=True, **ASK) as response:
            stream = await response.parse()
            assert [event async for event in stream]
        assert flags(stream) == ()

    asyncio.run(main())
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def helpers(claude: Any, gpt: Any) -> list[Callable[[], Any]]:
    return [
        lambda: claude.messages.stream(model=CLAUDE, extra_headers=IN_PIECES, **ASK),
        lambda: gpt.chat.completions.stream(model=GPT, extra_headers=IN_PIECES, **ASK),
        lambda: gpt.responses.stream(model=GPT, input="Hi", max_output_tokens=100, extra_headers=IN_PIECES),
    ]


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("how", ["exception", "unread"])
def test_a_helper_that_is_left_early(guard: spendrail.Guard, claude: Any, gpt: Any, which: int, how: str) -> None:
    make = helpers(guard.wrap(claude, **ACME), guard.wrap(gpt, **ACME))[which]
    if how == "unread":
        with make():
            pass
    else:
        with pytest.raises(ZeroDivisionError), make() as helper:
            for at, _ in enumerate(helper):
                if at == 2:
                    raise ZeroDivisionError
    left_early(guard)


def test_a_helper_that_is_never_entered_reserves_nothing(guard: spendrail.Guard, claude: Any, gpt: Any) -> None:
    for make in helpers(guard.wrap(claude, **ACME), guard.wrap(gpt, **ACME)):
        make()
    assert len(guard.balances("tenant-day")) == 0


@pytest.mark.parametrize("sdk", ["claude", "gpt"])
def test_a_stream_that_nobody_ever_reads(guard: spendrail.Guard, claude: Any, gpt: Any, sdk: str) -> None:
    create, model = resource(guard, {"claude": claude, "gpt": gpt}[sdk])
    create.create(model=model, stream=True, extra_headers=IN_PIECES, **ASK)
    lost(guard)


def test_an_exception_thrown_into_a_stream(guard: spendrail.Guard, gpt: Any) -> None:
    create, model = resource(guard, gpt)
    with create.with_streaming_response.create(model=model, stream=True, extra_headers=IN_PIECES, **ASK) as response:
        chunks = response.iter_bytes()
        next(chunks)
        with pytest.raises(ZeroDivisionError):
            chunks.throw(ZeroDivisionError())
    left_early(guard)


# -- time, signals, threads ---------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [False, True])
def test_a_timeout_of_asyncio(guard: spendrail.Guard, provider: Provider, streams: bool) -> None:
    async def main() -> None:
        client = guard.wrap(openai.AsyncOpenAI(api_key="acme", base_url=f"{provider.url}/v1"), **ACME)

        async def ask() -> None:
            if not streams:
                await client.chat.completions.create(model=GPT, extra_headers=script("delay_ms=3000"), **ASK)
                return
            async for _ in await client.chat.completions.create(model=GPT, stream=True, extra_headers=SLOWLY, **ASK):
                pass

        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ask(), 0.3)

    asyncio.run(main())
    (left_early if streams else lost)(guard)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to a process here")
@pytest.mark.parametrize("streams", [False, True])
def test_a_person_presses_control_c(guard: spendrail.Guard, gpt: Any, streams: bool) -> None:
    create, model = resource(guard, gpt)
    # Who runs the tests in the background has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            if streams:
                for _ in create.create(model=model, stream=True, extra_headers=SLOWLY, **ASK):
                    pass
            else:
                create.create(model=model, extra_headers=script("delay_ms=3000"), **ASK)
            time.sleep(3)
    finally:
        signal.signal(signal.SIGINT, before)
    (left_early if streams else lost)(guard)


def test_a_hook_of_the_application_that_fails(guard: spendrail.Guard, gpt: Any) -> None:
    def fail(response: object) -> None:
        raise ZeroDivisionError

    gpt._client.event_hooks["response"].append(fail)
    create, model = resource(guard, gpt)
    with pytest.raises((ZeroDivisionError, openai.APIConnectionError)):  # not every generation of the SDK passes it on
        create.create(model=model, **ASK)
    lost(guard)


def test_a_stream_that_another_thread_closes(guard: spendrail.Guard, gpt: Any) -> None:
    create, model = resource(guard, gpt)
    stream = create.create(model=model, stream=True, extra_headers=SLOWLY, **ASK)
    threading.Timer(0.3, stream.close).start()
    try:
        for _ in stream:
            pass
    except Exception as error:
        assert type(error).__name__ in ("APIConnectionError", "ReadError"), error
    assert flags(stream) == ("estimated",)
    used, held, _ = spent(guard, **ACME)
    assert used > 0 and held == 0


def test_many_threads_share_a_client(guard: spendrail.Guard, provider: Provider, claude: Any, gpt: Any) -> None:
    meet, failed = threading.Barrier(8), []

    def work(n: int) -> None:
        create, model = resource(guard, [claude, gpt][n % 2])
        meet.wait(30)
        try:
            for at in range(4):
                reply = create.create(model=model, stream=at % 2 == 1, **ASK)
                assert at % 2 == 0 or list(reply)
                assert flags(reply) == ()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


# -- processes -----------------------------------------------------------------------------------------


@FORKS
@pytest.mark.parametrize("child_does", ["nothing", "close", "lose"])
def test_a_fork_in_the_middle_of_a_stream(
    guard: spendrail.Guard, provider: Provider, gpt: Any, caplog: pytest.LogCaptureFixture, child_does: str
) -> None:
    create, model = resource(guard, gpt)
    stream = create.create(model=model, stream=True, extra_headers=IN_PIECES, **ASK)
    steps = iter(stream)
    next(steps)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            caplog.clear()
            if child_does == "close":
                stream.close()
            elif child_does == "lose":
                del stream, steps
                gc.collect()
            told = [record for record in caplog.records if record.levelno >= logging.WARNING]
            status = 0 if not told and len(guard.balances("tenant-day")) == 0 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(steps)
    assert flags(stream) == ()
    assert spent(guard, **ACME) == (billed(provider), 0, 0)


def test_what_cannot_be_in_two_places_is_not_copied(guard: spendrail.Guard, gpt: Any) -> None:
    """A copy of a guard would have books of its own, a copy of a hold would be settled twice."""
    hold = guard.reserve(provider="openai", model=GPT, input_tokens=1, max_output_tokens=1, **ACME)
    ways: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, pickle.dumps]
    for what in (guard, hold):
        for way in ways:
            with pytest.raises(TypeError):
                way(what)
    hold.release()
    copied = copy.copy(guard.wrap(gpt, **ACME))
    copied.chat.completions.create(model=GPT, **ASK)
    assert spent(guard, **ACME)[0] > 0, "the copy of a wrapped client is guarded"


def test_a_client_has_one_guard(guard: spendrail.Guard, provider: Provider, claude: Any, gpt: Any) -> None:
    """The budgets of the first one would be left out, and nobody would notice."""
    other = spendrail.Guard(config={"mode": "enforce"})
    for client in (claude, gpt):
        with pytest.raises(spendrail.InvalidInput) as refused:
            other.wrap(guard.wrap(client, **ACME))
        assert refused.value.field == "client"
        other.wrap(client)
    strange = guard.wrap(openai.OpenAI(api_key="k", base_url="http://127.0.0.1:99999/v1", max_retries=0))
    with pytest.raises((openai.APIConnectionError, ValueError)):
        strange.chat.completions.create(model=GPT, **ASK)


SETUP = """
import json, multiprocessing, os, sys, threading, time
import openai, spendrail
url, prices = sys.argv[1], json.loads(sys.argv[2])
ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 200}
def make():
    budget = spendrail.Budget("b", limit="5 USD", window="day", release_cap="0%")
    guard = spendrail.Guard(budgets=[budget], prices=[prices])
    return guard, guard.wrap(openai.OpenAI(api_key="acme", base_url=url + "/v1", max_retries=0))
def spent(guard):
    return [(one.spent, one.held, one.unconfirmed) for one in guard.balances()]
"""


def run(folder: Path, provider: Provider, body: str) -> str:
    """What a program prints; it must end by itself, and without a complaint."""
    (folder / "program.py").write_text(SETUP + textwrap.dedent(body))
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "program.py", provider.url, json.dumps(catalog())],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "panicked" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_in_mid_call(tmp_path: Path, provider: Provider, method: str) -> None:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system cannot start processes by {method}")
    out = run(
        tmp_path,
        provider,
        f"""
        def child(queue):
            guard, client = globals().get("parents") or make()
            before = spent(guard)
            reply = client.chat.completions.create(**ASK)
            queue.put((before, spent(guard) == [(spendrail.receipt_of(reply).posted_nano_usd, 0, 0)]))
        if __name__ == "__main__":
            parents = guard, client = make()
            stream = client.chat.completions.create(stream=True, **ASK)
            next(iter(stream))
            context = multiprocessing.get_context("{method}")
            queue = context.Queue()
            processes = [context.Process(target=child, args=(queue,)) for _ in range(2)]
            for process in processes: process.start()
            print([queue.get(timeout=30) for _ in processes])
            for process in processes: process.join(30)
            print([process.exitcode for process in processes])
            for _ in stream: pass
            print(spent(guard) == [(spendrail.receipt_of(stream).posted_nano_usd, 0, 0)])
        """,
    )
    assert out.splitlines() == ["[([(0, 0, 0)], True), ([(0, 0, 0)], True)]", "[0, 0]", "True"]


def test_the_process_ends_with_everything_in_flight(tmp_path: Path, provider: Provider) -> None:
    """A daemon thread in mid-call, one in mid-stream, a stream that is half read, a listener."""
    run(
        tmp_path,
        provider,
        """
        guard, client = make()
        guard.on("settled", lambda event: None)
        slow = {"x-provider-script": "output=150 delay_ms=50"}
        def plain(): client.chat.completions.create(extra_headers=slow, **ASK)
        def streamed():
            for _ in client.chat.completions.create(stream=True, extra_headers=slow, **ASK): pass
        for work in (plain, streamed):
            threading.Thread(target=work, daemon=True).start()
        half = client.chat.completions.create(stream=True, extra_headers=slow, **ASK)
        next(iter(half))
        time.sleep(0.3)
        """,
    )
