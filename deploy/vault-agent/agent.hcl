# Vault Agent beside Envoy, as the same user: keeps the gateway's secret in the file that Envoy watches.
vault {
  address = "https://vault.example.com:8200"
}

auto_auth {
  method "approle" {
    config = {
      role_id_file_path                   = "/etc/vault-agent/role-id"
      secret_id_file_path                 = "/etc/vault-agent/secret-id"
      remove_secret_id_file_after_reading = false # a restart needs it again
    }
  }
}

template_config {
  static_secret_render_interval = "1m" # how soon a new version is noticed
  exit_on_retry_failure         = true
}

template {
  source               = "/etc/vault-agent/gateway-secret.yaml.ctmpl"
  destination          = "/etc/deputy/secrets/gateway-secret.yaml"
  perms                = "0600"
  error_on_missing_key = true # rather the old secret than a broken file
}
