"""Files that tests of the console write."""


def write_playbook(folder, keys="", name="demo"):
    path = folder / f"{name}.playbook.yaml"
    path.write_text(f'name: {name}\nversion: "1.0.0"\nmodel:\n  hf_repo: org/demo\ntest_matrix:\n  seed: 7\n{keys}')
    return path
