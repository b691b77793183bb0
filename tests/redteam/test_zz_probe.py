from tests.redteam.test_github_answers import *
from tests.redteam.test_github_answers import SLOW as S, WRITES as W
for n in list(globals()):
    if n.startswith("test_"): del globals()[n]
def test_a(arena): S["made-up patches, by API"](arena)
def test_b(arena): W["each place fails otherwise, beginning with 429 for a time that is none"](arena)
def test_c(arena): S["headers that make others act"](arena)
@pytest.fixture(autouse=True)
def tell(arena):
    yield
    for r in arena._results:
        print("CODE", r.code); print(r.log); print(r.errors); print(json.dumps(r.report["notes"] if r.report else None, indent=1)); print([(f["path"],f["line"],f["where"]) for f in (r.report or {"findings":[]})["findings"]])
    print([(c.path,c.line,c.subject_type) for c in arena.github.comments]); print([c.body[:200] for c in arena.github.issue_comments])
    for j in arena.github.journal: print(j.method, j.path, j.status, j.time)
