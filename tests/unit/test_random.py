"""Streams: the same numbers for the same names, other numbers for others."""

import torch

from riemaug.random import Stream, as_stream


def draw(stream: Stream) -> list[float]:
    return torch.rand(4, generator=stream.generator()).tolist()


def test_a_stream_is_its_seed_and_path_alone() -> None:
    assert draw(Stream(3).child("class", "cat").block(5)) == draw(Stream(3, ("class", "cat"), 6))
    assert draw(Stream(3)) == draw(Stream(3))


def test_names_and_seeds_tell_streams_apart() -> None:
    streams = [Stream(0), Stream(1), Stream(0).child("a"), Stream(0).child("a", "b"), Stream(0).child("ab")]
    streams += [Stream(0).block(0), Stream(0).child("a").block(0), Stream(0).block(0).child("a")]
    assert len({stream.generator_seed() for stream in streams}) == len(streams)


def test_blocks_of_one_path_never_share_a_generator() -> None:
    stream = Stream(11).child("chains")
    seeds = {stream.block(index).generator_seed() for index in range(50000)}
    assert len(seeds) == 50000


def test_seeds_are_stable_over_versions() -> None:
    assert Stream(0).generator_seed() == Stream(0).generator_seed()
    assert Stream(0).child("proposal").block(2).generator_seed() == EXPECTED


def test_as_stream_takes_both() -> None:
    stream = Stream(4).child("x")
    assert as_stream(stream) is stream
    assert as_stream(4) == Stream(4)


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    draw(Stream(0).block(3))
    assert torch.equal(before, torch.get_rng_state())


EXPECTED = 4067237557
