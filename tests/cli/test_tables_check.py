"""What a check of a table says, and what it leaves with."""

from dataclasses import replace

from hwnas.latency_tables import LatencyTable, check_table


def test_the_command_counts_entries_and_an_ordinary_profile_passes(hwnas, tmp_path):
    table = LatencyTable.load("amd-epyc-1thread")
    findings = check_table(table)
    marked = len({f.entry for f in findings})
    assert marked < len(findings)
    status, _, said = hwnas("tables", "check", "amd-epyc-1thread")
    assert status == 0
    assert f"{marked} of its entries are marked, for {len(findings)} reasons" in said
    path = tmp_path / "t.json"
    loose = {k: replace(m, relative_error=0.05) for k, m in table.workloads.items()}
    replace(table, workloads=loose).save(path)
    assert hwnas("tables", "check", str(path))[0] == 1
