"""Addresses: the keys under which weights are stored.

An address is the path of a variable without the name of its network: `up0/kernel` of
`generator/up0/kernel`. Addresses are written in the code of a family and do not depend on the order
of attributes or on the names of classes.
"""

MAX_SHOWN = 10


def addresses(network) -> dict:
    """The variables of a network by address, without the states of seed generators.

    Args: network: built `keras.Model` or `keras.Layer`.
    Returns: dict from address to variable, in the order of `network.weights`.
    Raises: ValueError: if two variables share an address.
    """
    prefix = f"{network.name}/"
    variables, shared = {}, []
    for variable in network.weights:
        if "seed_generator" in variable.path:
            continue
        address = variable.path.removeprefix(prefix)
        if address in variables:
            shared.append(address)
        variables[address] = variable
    if shared:
        raise ValueError(
            "Expected one variable per address, since addresses are the keys of checkpoints; "
            f"give the layers of `{network.name}` distinct names. "
            f"Received: shared addresses={shared[:MAX_SHOWN]}"
        )
    return variables
