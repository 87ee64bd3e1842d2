"""The table of causes, from root to symptom: what comes first may bring about what comes later."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from nncli.inspection.diagnosis import brakes, course, samples, start
from nncli.inspection.diagnosis.record import Evidence, Suspicion

Judge = Literal["fit", "held", "balance", "evidence", "told", "end"]


class Cause(NamedTuple):
    """A row: the word of the record, what it is suspected by, and what its cures must improve.

    Attributes:
        title: in words.
        judge: `fit`, the skill on the samples trained on (and not at the cost of those held back);
            `held`, the skill on those held back; `balance`, the mean recall; `evidence`: nothing
            can be tried, the evidence has to do; `told`: so too, beside whatever else is found;
            `end`: it is what a training came to, which something else has brought about.
        telling: how telling the evidence is by itself: a cure has to do so many times less.
    """

    word: str
    title: str
    suspect: Callable[[Evidence], Suspicion | None]
    judge: Judge = "fit"
    telling: float = 1.0


CAUSES = (
    Cause("constant_inputs", "constant inputs", start.constant_inputs, "evidence"),
    Cause("constant_targets", "constant targets", samples.constant_targets, "evidence"),
    Cause("unseen_class", "a class that is not trained on", samples.unseen_class, "evidence"),
    Cause("other_inputs", "inputs of another kind held back", samples.other_inputs, "evidence"),
    Cause("contrary_targets", "contrary targets held back", samples.contrary_targets, "evidence"),
    Cause("giveaway", "an input that gives the target away", samples.giveaway, "told"),
    Cause("seen_samples", "trained on what it is judged by", samples.seen_samples, "told"),
    Cause("constant_inputs", "constant inputs", start.mostly_constant_inputs, telling=2),
    Cause("diverged", "a number beyond all others", start.spoilt_sample, telling=2),
    Cause("heavy_target", "a target beyond all others", samples.heavy_target, "evidence"),
    Cause("labels_unrelated", "targets unrelated to inputs", course.labels_unrelated, "evidence"),
    Cause("output_range", "outputs that cannot reach the targets", start.output_range, telling=4),
    Cause("input_scale", "badly scaled inputs", start.input_scale, telling=2),
    Cause("target_scale", "badly scaled targets", samples.target_scale),
    Cause("symmetric_start", "a symmetric start", start.symmetric_start, telling=4),
    Cause("dead_units", "dead units", start.dead_units, telling=2),
    Cause("saturated_units", "saturated units", start.saturated_units, telling=2),
    Cause("exploding_signal", "an exploding signal", start.exploding_signal, telling=2),
    Cause("vanishing_signal", "a vanishing signal", start.vanishing_signal, telling=2),
    Cause(
        "cost_mismatch", "a cost that does not fit the activation", start.cost_mismatch, telling=2
    ),
    Cause("unread_inputs", "inputs that no window reads", brakes.unread_inputs),
    Cause("frozen_layers", "weights that are not trained", brakes.frozen_layers),
    Cause("schedule", "η that fades too soon", brakes.schedule),
    Cause("early_stop", "a training that ends too soon", brakes.early_stop),
    Cause("clipping", "gradients clipped too short", brakes.clipping),
    Cause("weight_decay", "too much weight decay or L1", brakes.weight_decay),
    Cause("dropout", "too much dropout", brakes.dropout),
    Cause("class_weights", "class weights too far apart", brakes.class_weights),
    Cause("small_batch", "mini-batches too small to normalise", brakes.small_batch),
    Cause("underfitting", "a mini-batch of all the data", course.large_batch, telling=3),
    Cause("eta_too_large", "η too large", course.eta_too_large),
    Cause("eta_too_small", "η too small", course.eta_too_small),
    Cause(
        "class_imbalance", "classes out of balance", course.class_imbalance, "balance", telling=2
    ),
    Cause("underfitting", "underfitting", course.underfitting),
    Cause("overfitting", "overfitting", course.overfitting, "held", telling=2.5),
    Cause("dead_units", "dead units", course.dead_units, "end"),
    Cause("diverged", "divergence", course.diverged, "end"),
)
