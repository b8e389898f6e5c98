"""Checkpoints by name: what of the Hugging Face hub is on this machine, and fetching what is not.

Puts huggingface_hub's errors into words that say what to do. Knows files and names; nothing of
what the files hold, but for the `config.json` that says whether this program can run them.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from backbone import official
from backbone.config import Config
from backbone.errors import CheckpointError
from backbone.files import weight_files

NEEDED = ["*.json", "model*.safetensors", "*.jinja"]
PAPERS = ["LICENSE*", "README.md"]
BELOW = ["*/*"]  # nothing in folders is needed
_SLACK = 1 << 28  # bytes that a download leaves free on the disk

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms of a checkpoint: what its card calls them, where they are, their text if any."""

    name: str
    link: str
    text: str


def _mention(name: str, licence: Licence) -> None:
    _log.warning("%s comes under %s: %s", name, licence.name, licence.link)


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub and the cache of what was fetched from it; None is what huggingface_hub is set to."""

    endpoint: str | None = None
    cache: Path | None = None

    def cached(self, name: str) -> Path | None:
        """The folder of a checkpoint that is here whole, or None; asks no network."""
        from huggingface_hub import snapshot_download

        try:
            with _explained(name):
                folder = snapshot_download(
                    name,
                    allow_patterns=NEEDED,
                    ignore_patterns=BELOW,
                    local_files_only=True,
                    cache_dir=self.cache,
                )
        except Incomplete:
            return None
        try:
            weight_files(Path(folder))
        except CheckpointError:  # not every version of huggingface_hub looks
            return None
        return Path(folder)

    def all_cached(self) -> list[tuple[str, Path]]:
        """Every name in the cache whose files are an LFM2's, whole or not, and its folder."""
        from huggingface_hub import CacheNotFound, scan_cache_dir

        try:
            found = scan_cache_dir(self.cache).repos
        except CacheNotFound:
            return []
        models = []
        for repo in sorted(found, key=lambda repo: str(repo.repo_id)):
            revisions = sorted(repo.revisions, key=lambda r: ("main" in r.refs, r.last_modified))
            if repo.repo_type == "model" and revisions:
                folder = Path(revisions[-1].snapshot_path)
                with suppress(CheckpointError):  # another kind of model
                    Config.load(folder)
                    models.append((str(repo.repo_id), folder))
        return models

    def pull(
        self,
        name: str,
        *,
        licensed: Callable[[str, Licence], None] = _mention,
        progress: bool = False,
    ) -> Path:
        """Fetch a checkpoint, or what is missing of it; returns its folder.

        Whole files that are here are not fetched again, and an interrupted transfer is taken up
        where it broke off while this runs. `licensed` is told the name and the terms the first
        time; `progress` lets huggingface_hub draw its bars. Raises CheckpointError: no network, no
        such name, no access, no LFM2, no space.
        """
        from huggingface_hub import HfApi, snapshot_download

        name = resolve(name)
        with _explained(name):
            info = HfApi(endpoint=self.endpoint).model_info(name, files_metadata=True)
            files = {f.rfilename: f.size or 0 for f in info.siblings or () if _wanted(f.rfilename)}
            missing = [file for file in files if not self._has(name, file, info.sha)]
            first = any(fnmatch(file, paper) for file in missing for paper in PAPERS)

            def fetch(*patterns: str) -> Path:
                folder = snapshot_download(
                    name,
                    allow_patterns=list(patterns),
                    ignore_patterns=BELOW,
                    endpoint=self.endpoint,
                    cache_dir=self.cache,
                    tqdm_class=None if progress else _silent(),
                )
                return Path(folder)

            folder = fetch("config.json", *PAPERS)
            Config.load(folder)  # before gigabytes of something else are fetched
            if first:
                licensed(name, _licence(name, info.card_data, folder))
            size = sum(files[file] for file in missing)
            self._check_space(name, size)
            if size and not progress:
                _log.warning("fetching %.1f GB of %s", size / 1e9, name)
            fetch(*NEEDED, *PAPERS)
        weight_files(folder)
        return folder

    def _has(self, name: str, file: str, revision: str | None) -> bool:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(name, file, cache_dir=self.cache, revision=revision)
        return isinstance(found, str)

    def _check_space(self, name: str, needed: int) -> None:
        from huggingface_hub import constants

        folder = Path(self.cache or constants.HF_HUB_CACHE)
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free
        if needed and needed + _SLACK > free:
            raise CheckpointError(_full(name, folder, f"needs {needed / 1e9:.1f} GB", free))


class Incomplete(CheckpointError):
    """Some files of a checkpoint are here and some are not."""


def is_name(name: str) -> bool:
    """Whether this has the form of a hub name, `owner/model`."""
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and parts[0] not in (".", "..", "~")


def resolve(name: str) -> str:
    """A hub name; an official checkpoint may be named without its owner."""
    if is_name(name):
        return name
    if official.find(name) and "/" not in name:
        return f"{official.OWNER}/{name}"
    raise CheckpointError(f"{name} is no hub name such as {official.OWNER}/LFM2-1.2B{_near(name)}")


def _near(name: str) -> str:
    """The official name that a wrong one is nearest to, as a question."""
    names = {known.lower(): known for each in official.OFFICIAL for known in each.hub_names}
    asked = name.lower() if "/" in name else f"{official.OWNER}/{name}".lower()
    near = get_close_matches(asked, names, n=1, cutoff=0.8)
    return f"; did you mean {names[near[0]]}?" if near else ""


def _wanted(file: str) -> bool:
    return "/" not in file and any(fnmatch(file, pattern) for pattern in (*NEEDED, *PAPERS))


def _silent() -> Any:
    """A progress bar that draws nothing."""
    from huggingface_hub.utils.tqdm import tqdm  # utils.tqdm may be the module or the class

    class Silent(tqdm):  # type: ignore[type-arg, misc, unused-ignore]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            quiet = {**options, "disable": True}
            super().__init__(*arguments, **quiet)  # type: ignore[no-untyped-call, unused-ignore]

    return Silent


def _licence(name: str, card: Any, folder: Path) -> Licence:
    """What the card says of the terms, and the text that comes with the files."""
    facts = card.to_dict() if hasattr(card, "to_dict") else dict(card or {})
    called = (
        facts.get("license_name") or facts.get("license") or "terms that its card does not name"
    )
    texts = sorted(folder.glob("LICENSE*"))
    link = str(texts[0]) if texts else f"https://huggingface.co/{name}"
    text = texts[0].read_text(encoding="utf-8", errors="replace") if texts else ""
    return Licence(str(called), str(facts.get("license_link") or link) if not texts else link, text)


def _full(name: str, folder: Path, needs: str, free: int) -> str:
    return (
        f"{name} {needs} and the disk of {folder} has {free / 1e9:.1f} GB free: make room there, "
        "or have the variable HF_HOME name a folder on a larger disk"
    )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what huggingface_hub raises into what to do about it."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise CheckpointError(f"{name} is neither a folder nor a hub name: {error}") from None
    except errors.GatedRepoError:
        raise CheckpointError(
            f"{name} is open only to those who accepted its terms: do so on "
            f"https://huggingface.co/{name}, then have HF_TOKEN hold your token, or run "
            "`hf auth login`, and try again"
        ) from None
    except errors.RepositoryNotFoundError:
        raise CheckpointError(
            f"the hub has no {name}, or it is private{_near(name)}; `rag models list` shows the "
            "official names; for a private one have HF_TOKEN hold your token"
        ) from None
    except errors.LocalEntryNotFoundError as error:
        raise Incomplete(_unreachable(name, error)) from None
    except (vars(errors)["HTTPError"], OSError) as error:  # of the client library it uses
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise CheckpointError(
                f"the disk filled up while {name} was fetched: make room and run "
                f"`rag models pull {name}` again; whole files are kept"
            ) from None
        raise CheckpointError(_unreachable(name, error)) from None


def _unreachable(name: str, error: Exception) -> str:
    reason = next(iter(str(error).splitlines()), "") or type(error).__name__
    return (
        f"{name} is not in the local cache and could not be downloaded ({reason}): check the "
        f"network and run `rag models pull {name}`, or copy the model's folder here and name that"
    )
