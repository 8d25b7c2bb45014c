from __future__ import annotations
import pytest
from protocolstage import Stage

@pytest.fixture
def stage(tmp_path, monkeypatch):
    made = Stage(tmp_path, monkeypatch)
    yield made
    made.close()

def test_smoke(stage):
    stage.add_job("101"); stage.add_job("102")
    stage.settle()
    print(len(stage.schedule)); print(stage.describe())
