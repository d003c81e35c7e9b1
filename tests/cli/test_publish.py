"""push."""




def test_push(run, fails, server, models, monkeypatch):
    code, out, _ = run("push", models / "plain", "org/plain", "--license", "MIT", "--private")
    assert code == 0 and out == "hf://org/plain\n" and "org/plain" in server.private
    assert b"license: mit" in server.repos["org/plain"]["README.md"]
    assert "Received: repo_id='plain'" in fails("push", models / "plain", "plain")
    monkeypatch.delenv("HF_TOKEN")
    assert "`hf auth login`" in fails("push", models / "plain", "org/other")
