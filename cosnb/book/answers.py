"""The book's answers in a sentence each, in English or Korean: accuracy, the paper's tables, and cost."""

from collections.abc import Callable

from matplotlib.figure import Figure

from cosnb.book import claims, plots
from cosnb.book.claims import costs
from cosnb.experiments.diagnostics.cost import over
from cosnb.experiments.results import answer, tables
from cosnb.experiments.statistics import LOOKS

_KOREAN = {
    "lead": "우위",
    "behind": "열세",
    "claimed size excluded": "주장한 크기 배제",
    "no lead worth naming": "언급할 만한 우위 없음",
    "open": "미정",
}


def accuracy(evidence: claims.Evidence, korean: bool) -> str:
    """Return what the page "Is CoS more accurate?" says."""
    found = answer.runs(evidence.get(answer.EXPERIMENT, ()), answer.RATES)
    if not korean:
        return answer.answer(found).text.replace("**", "")
    looks = answer.looks(found)
    if not all(looks.values()):
        return f"아직 모른다. 첫 판정에 필요한 시드 {LOOKS[0].n}개 가운데 {len(answer.blocks(found))}개가 기록되었다."
    said = []
    for name, judged in looks.items():
        words = ", ".join(_KOREAN[word] for word in answer.words(judged[-1]).split("; "))
        said.append(f"{name}: {answer.show(judged[-1].decisive)}%p (시드 {judged[-1].n}개, {words})")
    return "; ".join(said) + "."


def full_tables(evidence: claims.Evidence, korean: bool) -> str:
    """Return which of the paper's tables have runs of the paper's length."""
    full = [
        number
        for number, experiment in enumerate(tables.EXPERIMENTS.values(), 1)
        if any(tables.is_full(settings) for settings, _ in tables.configurations(evidence.get(experiment, ())))
    ]
    if korean:
        named = ", ".join(f"표 {number}" for number in full)
        return (
            f"논문과 같은 길이로 다시 학습한 표: {named}."
            if full
            else "논문의 표를 같은 길이로 다시 학습한 기록은 아직 없다."
        )
    named = ", ".join(f"Table {number}" for number in full)
    if not full:
        return "None of the paper's three tables has been run again at its full length yet"
    return f"Of the paper's three tables, run again at its full length: {named}"


def cost(evidence: claims.Evidence, korean: bool) -> str:
    """Return how long a training step with CoS takes over ReLU's, typed in and compiled, over the three networks."""
    found = costs.by_network(evidence.get("cost", ()))
    if not found:
        return "아직 측정되지 않았다" if korean else "not measured yet"

    def span(label: str) -> str:
        ratios = [over(record["measured"], label, "relu, plain", "step")[1] for record in found.values()]
        low, high = f"{min(ratios):.2f}", f"{max(ratios):.2f}"
        return low if low == high else f"{low}{'~' if korean else ' to '}{high}"

    plain, compiled, swish = map(span, ("cos, plain", "cos, compiled", "swish, compiled"))
    if korean:
        return f"수식대로 쓰면 {plain}배, 컴파일하면 {compiled}배이다 (컴파일한 Swish는 {swish}배)"
    return f"{plain} times as long as with ReLU as typed in, {compiled} times compiled (Swish, compiled: {swish})"


def worked(evidence: claims.Evidence) -> tuple[str, Figure] | None:
    """Return a contrast, CoS − Swish in the small network, read in words, and its figure; None before a look."""
    name = "CoS − Swish"
    looks = answer.looks(answer.runs(evidence.get(answer.EXPERIMENT, ()), answer.RATES))[name]
    if not looks:
        return None
    last = looks[-1]
    interval, claimed = last.decisive, answer.claimed("cos", "swish")
    where = "right of zero" if interval.low > 0 else "left of zero" if interval.high < 0 else "on both sides of zero"
    text = f"An example: in {last.n} pairs of runs of a small network ([Is CoS more accurate?]"
    text += f"(../notebooks/is-cos-more-accurate)) {name} is {answer.show(interval).replace('-', '−')} points. The "
    text += f"interval lies {where}; the paper's least lead is {claimed:+.2f} points. The verdict: "
    return f"{text}**{answer.words(last)}**.", plots.worked(name, interval, claimed)


KINDS: dict[str, Callable[[claims.Evidence, bool], str]] = {"accuracy": accuracy, "tables": full_tables, "cost": cost}
