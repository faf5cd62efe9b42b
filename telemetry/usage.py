"""What a service says of how it is started."""

import argparse


def refuse_arguments(module: str, purpose: str, setting: str) -> None:
    """Ends the process if the command line has arguments: services are set by the environment.

    Args:
        module: runs the service, as in `python -m MODULE`.
        purpose: what it does; `--help` prints it.
        setting: an example of a setting, as people write it before the command.
    """
    command = f"python -m {module}"
    parser = argparse.ArgumentParser(
        prog=command,
        description=purpose,
        epilog=f"Settings are variables of the environment: {setting} {command}. README.md lists"
        " them.",
    )
    _, arguments = parser.parse_known_args()
    if arguments:
        parser.error(
            f"{' '.join(arguments)}: takes no arguments; set variables instead, listed in"
            f" README.md: {setting} {command}"
        )
