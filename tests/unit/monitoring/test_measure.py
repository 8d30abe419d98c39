"""What the log tells of a window's figures."""

from include.monitoring.measure import Measure, out_of_limits


def figure(subject, statistic, status, reason="", slice_=""):
    return Measure("covariate", subject, statistic, 1.0, status, reason, slice=slice_)


def test_a_subject_has_one_line_with_every_breach_and_the_first_reason_of_what_is_unknown():
    measures = [
        figure("calm", "psi", "ok", "up to 9 is usual"),
        figure("nox", "psi", "unknown", "the reference is too short"),
        figure("nox", "js", "unknown", "other words"),
        figure("nox", "ks", "breach", "the shape moved"),
        figure("rows", "row_share", "unknown", "few", "day=1"),
        figure("nox", "mean_shift_sd", "breach", "the mean moved", "day=1"),
    ]
    assert list(out_of_limits(measures)) == [
        "nox: ks is a breach: the shape moved; mean_shift_sd at day=1 is a breach: the mean moved;"
        " psi and 1 more are unknown: the reference is too short",
        "rows: row_share at day=1 is unknown: few",
    ]
