"""The failures of a worker's call without an answer, and the refusal of an app."""


class WorkerDied(Exception):
    """The worker ended before it answered."""

    how = "died"


class WorkerReplaced(WorkerDied):
    """The worker was replaced before it answered, and not because of this call."""

    how = "was replaced"


class CallTimedOut(Exception):
    """The call outlived its limit; its worker is being replaced. The text is the Functions host's."""

    def __init__(self, function: str, limit_s: float) -> None:
        hours, rest = divmod(int(limit_s), 3600)
        span = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
        super().__init__(f"Timeout value of {span} was exceeded by function: Functions.{function}")
        self.limit_s = limit_s


class AppRefused(Exception):
    """The app cannot be served: one sentence for each reason. The exception's text is all of them in one line."""

    def __init__(self, sentences: list[str], in_short: str = "") -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences
        self.in_short = in_short or " ".join(sentences)
