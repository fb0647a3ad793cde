"""What is derived for Prometheus, Alloy, Loki and Grafana, held against the programs themselves."""
