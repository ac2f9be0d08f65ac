"""The real Dockerfile and docker-compose.yml on a container engine: brought up, clicked, scaled, broken, taken down."""
