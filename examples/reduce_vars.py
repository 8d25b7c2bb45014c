"""What a scientist may change for one run without touching reduce.py; the web page shows these and sends them along."""

standard_vars = {
    "d_min": 0.93,
    "d_max": 2.1,
    "bins": 2000,
    "lattice_a": 5.4114,
}

advanced_vars = {
    "bank names": ["north", "south"],
    "two_theta_range": [60.0, 120.0],
    "primary_flight_path": 50.0,
    "smooth": 3,
    "min_height": 0.02,
}

variable_help = {
    "standard_vars": {
        "d_min": "Smallest d-spacing of the pattern, in angstrom.",
        "d_max": "Largest d-spacing of the pattern, in angstrom.",
        "bins": "Number of bins of the pattern, all of the same width in log d.",
        "lattice_a": "Lattice parameter of the face-centred cubic sample, in angstrom; None leaves the peaks unnamed.",
    },
    "advanced_vars": {
        "bank names": "Names of the bank at positive and of the bank at negative scattering angles.",
        "two_theta_range": "Detectors between these scattering angles (degrees, either sign) are used.",
        "primary_flight_path": "Moderator to sample, in metres.",
        "smooth": "Points of the moving average in which peaks are looked for; the pattern itself is not smoothed.",
        "min_height": "A peak is at least this part of the highest one.",
    },
}
