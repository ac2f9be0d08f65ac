"""Durable, event-sourced card interactions for Feishu and Lark: the public names."""
