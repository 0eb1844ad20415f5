"""Files that are either as they were or as they should be, whatever ends the process."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path


def write(file: Path, content: bytes, new: bool = False) -> None:
    """Writes a file in one piece, on the disk before it returns.

    Args:
      file: it keeps its old content until the new one is on the disk.
      content: what it shall hold.
      new: refuse to replace one that is there, also one that another process writes meanwhile.

    Raises:
      FileExistsError: it is there already.
      OSError: it could not be written; it is as it was.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        sync(temporary)
        _rename_as_new(temporary, file) if new else os.replace(temporary, file)
    except OSError as error:
        if error.errno and not error.filename:  # which a disk that is full leaves out
            error.filename = str(file)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    sync(file.parent)


def read_text(file: Path, longest: int) -> str:
    """A text file, unless it is a link or too long to be what it should.

    Raises:
      OSError: it cannot be read, or is a link.
      ValueError: more than `longest` bytes, or not UTF-8.
    """
    refuse_link(file)
    with file.open("rb") as content:
        data = content.read(longest + 1)
    if len(data) > longest:
        raise ValueError(f"longer than {longest} bytes")
    return data.decode()


def set_aside(folder: Path) -> Path:
    """Renames a folder, so that nothing new is written over what it holds, and returns its name."""
    names = (folder.with_name(f"{folder.name}-before-{n}") for n in itertools.count(1))
    return folder.rename(next(name for name in names if not name.exists()))


def refuse_link(path: Path) -> None:
    """A link could lead anywhere, to a device without an end for one."""
    if path.is_symlink():
        raise OSError(f"{path} is a symbolic link")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(f"{path} is not a file")


def check_name(name: str) -> None:
    """Refuses what no page and no figure can show.

    Raises:
      ValueError: it is not UTF-8, as names of files may be.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the name {name!a} is not UTF-8, and stands in what is written: rename it."
        ) from error


def is_in_place(descriptor: int, path: Path) -> bool:
    """Whether what is open is what others find under a name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename_as_new(temporary: Path, file: Path) -> None:
    try:
        os.link(temporary, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        with contextlib.suppress(FileNotFoundError):
            file.lstat()
            raise FileExistsError(f"{file} exists") from None
        os.replace(temporary, file)
