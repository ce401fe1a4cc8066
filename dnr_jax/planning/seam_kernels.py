"""Which implementation finds the seams: `seams` in plain XLA or `seams_pallas`. Same signatures, same results."""

SEAM_KERNELS = ("scan", "pallas")


def choose_seam_kernel(choice: str) -> str:
    """The implementation behind the option `seam_kernel`: "auto" is "scan" on every platform.

    "pallas" would become the automatic choice on a platform where it was measured at least ten times as fast.

    Raises:
      ValueError: for any other word.

    Example:
      >>> choose_seam_kernel("auto"), choose_seam_kernel("pallas")
      ('scan', 'pallas')
    """
    if choice == "auto":
        return "scan"
    if choice not in SEAM_KERNELS:
        raise ValueError(f"seam_kernel is {choice!r}: choose auto or {' or '.join(SEAM_KERNELS)}")
    return choice
