"""The files of deploy/ match the service that they configure."""

from importlib import import_module
from pathlib import Path

import yaml
from ray.serve.schema import ServeDeploySchema

SERVE = Path(__file__).parents[2] / "deploy" / "serve.yaml"


def test_the_serve_configuration_is_valid_and_names_a_builder() -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load(SERVE.read_text()))
    [application] = config.applications
    module, _, attribute = application.import_path.partition(":")
    assert callable(getattr(import_module(module), attribute))
    assert config.http_options.host == "127.0.0.1"
    assert config.http_options.request_timeout_s
