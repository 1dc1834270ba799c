"""Where heavy work that needs no instrument will be submitted to. Nothing is here yet."""
