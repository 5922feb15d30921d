"""Who gives a command, for what is noted of it."""

import os
import pwd


def user_of_this_process() -> str:
    """Name the user of this process by its number, which unlike the environment it cannot choose."""
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"
