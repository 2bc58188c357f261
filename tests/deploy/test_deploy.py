"""The files in deploy/ fit the program: every setting, port and path exists, and Kubernetes takes them."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from hearsight.config.engines import MAX_CONTEXT_TOKENS
from hearsight.config.layers import CONFIG_VARIABLE, PRESET_VARIABLE, variable_name
from hearsight.config.settings import Settings, load_settings, setting_keys
from hearsight.streams.admission import Gate
from hearsight.streams.http import Readiness
from hearsight.streams.metrics import Metrics
from hearsight.streams.page import Page
from hearsight.streams.transport import ServerOptions

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
VARIABLES = {variable_name(key) for key in setting_keys()} | {PRESET_VARIABLE, CONFIG_VARIABLE}
CONTAINERFILE = (DEPLOY / "Containerfile").read_text()
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES_VERSION = "1.33"


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def objects(kind: str) -> Iterator[dict[str, Any]]:
    for path in KUBERNETES:
        yield from (document for document in documents(path) if document["kind"] == kind)


def named(kind: str, name: str) -> dict[str, Any]:
    [found] = [each for each in objects(kind) if each["metadata"]["name"] == name]
    return found


GATEWAY = named("Deployment", "hearsight")["spec"]["template"]["spec"]
[CONTAINER] = GATEWAY["containers"]


def settings_file() -> dict[str, Any]:
    return tomllib.loads(named("ConfigMap", "hearsight")["data"]["hearsight.toml"])


# --- settings -------------------------------------------------------------------------------------------


def test_every_variable_is_a_setting():
    found = set()
    for path in [*DEPLOY.rglob("*.yaml"), DEPLOY / "Containerfile"]:
        found |= set(re.findall(r"\bHEARSIGHT_\w+(?==| *[:,]|\b)", path.read_text()))
    assert len(found) > 8
    assert found - {"HEARSIGHT_API_KEY"} <= VARIABLES, "HEARSIGHT_API_KEY is compose's own, from deploy/.env"


def test_the_settings_of_the_cluster_are_accepted(tmp_path, monkeypatch):
    (tmp_path / "hearsight.toml").write_text(named("ConfigMap", "hearsight")["data"]["hearsight.toml"])
    for name, value in named("Secret", "hearsight")["stringData"].items():
        monkeypatch.setenv(name, value)
    for name, value in image_variables().items():
        monkeypatch.setenv(name, value)
    settings = load_settings(config_file=tmp_path / "hearsight.toml").settings
    assert settings.engine.name == "openai"
    assert settings.conversations.store == "postgres"
    assert settings.server.host == "0.0.0.0"


def test_the_settings_of_compose_are_accepted(monkeypatch):
    for name, value in image_variables().items():
        monkeypatch.setenv(name, value)
    for name, value in COMPOSE["services"]["gateway"]["environment"].items():
        monkeypatch.setenv(name, re.sub(r"\$\{[^}]*\}", "secret", value))
    settings = load_settings().settings
    assert settings.engine.name == "openai" and settings.conversations.store == "postgres"
    assert settings.openai.base_url == "http://vllm:8000/v1"


def image_variables() -> dict[str, str]:
    """Those of the final stage of the image."""
    final = CONTAINERFILE.rpartition("\nFROM ")[2].replace("\\\n", " ")
    [line] = re.findall(r"^ENV (.*)$", final, re.MULTILINE)
    pairs = (word.split("=", 1) for word in shlex.split(line))
    return {name: value for name, value in pairs if name.startswith("HEARSIGHT_")}


def test_secrets_are_no_settings_in_a_file_and_examples_cannot_be_used():
    for secret in ("api_key", "api_keys", "postgres_url"):
        assert secret not in named("ConfigMap", "hearsight")["data"]["hearsight.toml"]
    for each in objects("Secret"):
        assert all("replace-me" in value for value in each["stringData"].values())
    example = (DEPLOY / ".env.example").read_text()
    wanted = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert wanted == set(re.findall(r"^(\w+)=", example, re.MULTILINE))


# --- ports and paths ------------------------------------------------------------------------------------


def pages() -> set[str]:
    gate = Gate(ServerOptions(), {}, Readiness(), lambda: 0, Metrics(), Page.of_text("x"))
    return set(gate._pages)


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probes_ask_for_pages_that_exist(probe):
    asked = CONTAINER[probe]["httpGet"]
    assert asked["path"] in pages()
    assert asked["port"] in {port["name"] for port in CONTAINER["ports"]}
    ready = probe != "livenessProbe"
    assert asked["path"] == ("/readyz" if ready else "/healthz"), (
        "a gateway that loads is not to be restarted"
    )


def test_everybody_means_the_same_port():
    port = Settings().server.port
    assert image_variables()["HEARSIGHT_SERVER__PORT"] == str(port)
    assert re.findall(r"^EXPOSE (\d+)$", CONTAINERFILE, re.MULTILINE) == [str(port)]
    assert f"127.0.0.1:{port}/healthz" in CONTAINERFILE
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": port}]
    assert COMPOSE["services"]["gateway"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    [service_port] = named("Service", "hearsight")["spec"]["ports"]
    assert service_port["targetPort"] == "http"
    annotations = named("Deployment", "hearsight")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port)
    assert annotations["prometheus.io/path"] in pages()


def test_the_gateways_find_vllm():
    base_url = settings_file()["openai"]["base_url"]
    host, port = re.fullmatch(r"http://([\w-]+):(\d+)/v1", base_url).groups()
    [service_port] = named("Service", host)["spec"]["ports"]
    assert service_port["port"] == int(port)
    [vllm] = named("Deployment", "vllm")["spec"]["template"]["spec"]["containers"]
    assert f"--port={port}" in vllm["args"]
    assert f"--port={port}" in COMPOSE["services"]["vllm"]["command"]
    assert settings_file()["openai"]["model"] in " ".join(vllm["args"])


def test_the_model_can_read_what_the_gateways_send():
    [vllm] = named("Deployment", "vllm")["spec"]["template"]["spec"]["containers"]
    for command in (vllm["args"], COMPOSE["services"]["vllm"]["command"]):
        assert f"--max-model-len={MAX_CONTEXT_TOKENS}" in command
        assert "--enable-prefix-caching" in command
    for config in (serve_config(), ray_service_config()):
        [llm] = config["applications"][0]["args"]["llm_configs"]
        assert llm["engine_kwargs"]["max_model_len"] == MAX_CONTEXT_TOKENS
        assert llm["engine_kwargs"]["enable_prefix_caching"] is True
        assert llm["model_loading_config"]["model_id"] == settings_file()["openai"]["model"]


# --- starting and stopping ------------------------------------------------------------------------------


def test_answers_get_their_time_when_a_gateway_is_stopped():
    drain_s = settings_file()["server"]["drain_timeout_s"]
    pre_stop = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert GATEWAY["terminationGracePeriodSeconds"] >= int(pre_stop[1]) + drain_s + 10
    environment = COMPOSE["services"]["gateway"]["environment"]
    grace_s = int(COMPOSE["services"]["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace_s >= int(environment["HEARSIGHT_SERVER__DRAIN_TIMEOUT_S"]) + 10
    assert "STOPSIGNAL SIGTERM" in CONTAINERFILE


def test_a_gateway_may_wait_for_its_model_server_as_long_as_it_does():
    probe = CONTAINER["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= settings_file()["openai"]["start_timeout_s"]


def test_the_autoscaler_goes_by_a_metric_that_exists_and_leaves_room():
    spec = named("HorizontalPodAutoscaler", "hearsight")["spec"]
    [metric] = spec["metrics"]
    assert f"\n{metric['pods']['metric']['name']} " in Metrics().render().decode()
    assert float(metric["pods"]["target"]["averageValue"]) < settings_file()["server"]["max_sessions"]
    assert spec["scaleTargetRef"]["name"] == "hearsight"
    assert spec["minReplicas"] >= 2


def test_names_and_selectors_meet():
    labels = named("Deployment", "hearsight")["spec"]["template"]["metadata"]["labels"]
    for each in (
        named("Service", "hearsight")["spec"]["selector"],
        named("PodDisruptionBudget", "hearsight")["spec"]["selector"]["matchLabels"],
        named("Deployment", "hearsight")["spec"]["selector"]["matchLabels"],
    ):
        assert each.items() <= labels.items()
    volumes = {volume["name"] for volume in GATEWAY["volumes"]}
    assert {mount["name"] for mount in CONTAINER["volumeMounts"]} == volumes
    [config] = [each["value"] for each in CONTAINER["env"] if each["name"] == CONFIG_VARIABLE]
    [mount] = [each["mountPath"] for each in CONTAINER["volumeMounts"] if each["name"] == "settings"]
    assert config == f"{mount}/hearsight.toml"
    assert image_variables().keys() >= {"HEARSIGHT_MODELS__CACHE_DIR"}


def test_nothing_of_the_gateway_runs_as_root():
    assert re.search(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)
    assert CONTAINERFILE.index("\nUSER ") > CONTAINERFILE.rindex("\nCOPY ")
    assert GATEWAY["securityContext"]["runAsUser"] == 10001 and GATEWAY["securityContext"]["runAsNonRoot"]
    assert CONTAINER["securityContext"]["allowPrivilegeEscalation"] is False
    assert COMPOSE["services"]["gateway"]["cap_drop"] == ["ALL"]


# --- the formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [p for p in KUBERNETES if p.name != "kustomization.yaml"], ids=lambda p: p.name
)
def test_kubernetes_takes_it(path):
    for document in documents(path):
        kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)


def test_kustomize_is_given_every_file():
    [kustomization] = documents(DEPLOY / "kubernetes" / "kustomization.yaml")
    assert set(kustomization["resources"]) == {path.name for path in KUBERNETES} - {"kustomization.yaml"}


def test_a_wrong_manifest_would_be_noticed():
    wrong = named("Deployment", "hearsight") | {"spec": {"replicas": "three"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES_VERSION, strict=True)


def test_compose_names_services_and_volumes_that_it_has():
    services = COMPOSE["services"]
    assert set(services) == {"gateway", "vllm", "postgres", "prometheus", "grafana"}
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in COMPOSE["volumes"], volume
    for dependency, condition in services["gateway"]["depends_on"].items():
        assert condition["condition"] == "service_healthy" and "healthcheck" in services[dependency]
    build = services["gateway"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Containerfile"


def serve_config() -> dict[str, Any]:
    [config] = documents(DEPLOY / "ray" / "serve.yaml")
    return config


def ray_service_config() -> dict[str, Any]:
    [service] = documents(DEPLOY / "ray" / "rayservice.yaml")
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    return yaml.safe_load(service["spec"]["serveConfigV2"])


def test_ray_serves_the_same_on_a_cluster_as_by_hand():
    assert ray_service_config() == serve_config()


def test_ray_has_a_gpu_for_every_copy():
    [service] = documents(DEPLOY / "ray" / "rayservice.yaml")
    [llm] = serve_config()["applications"][0]["args"]["llm_configs"]
    [workers] = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert workers["maxReplicas"] >= llm["deployment_config"]["autoscaling_config"]["max_replicas"]
    [container] = workers["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_image_installs_extras_and_a_preset_that_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)$", CONTAINERFILE, re.MULTILINE)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
    assert "openai" in extras and "postgres" in extras
    [preset] = re.findall(r"models pull --preset (\w+)", CONTAINERFILE)
    assert preset == image_variables()["HEARSIGHT_PRESET"]
    ignored = (ROOT / ".containerignore").read_text().split()
    needed = {"agent", "config", "hearsight", "streams", "tools", "pyproject.toml", "README.md", "LICENSE"}
    assert not needed & set(ignored)
