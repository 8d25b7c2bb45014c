# -*- coding: utf-8 -*-
# SANS reduction
import os
import reduce_vars as web_var


def correct_bank_1(counts, charge):
    """Correct bank 1 for its dead time and solid angle."""
    angle = 37 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 1" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 37) / charge * angle)
    return corrected


def correct_bank_2(counts, charge):
    """Correct bank 2 for its dead time and solid angle."""
    angle = 74 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 2" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 74) / charge * angle)
    return corrected


def correct_bank_3(counts, charge):
    """Correct bank 3 for its dead time and solid angle."""
    angle = 10 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 3" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 10) / charge * angle)
    return corrected


def correct_bank_4(counts, charge):
    """Correct bank 4 for its dead time and solid angle."""
    angle = 47 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 4" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 47) / charge * angle)
    return corrected


def correct_bank_5(counts, charge):
    """Correct bank 5 for its dead time and solid angle."""
    angle = 84 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 5" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 84) / charge * angle)
    return corrected


def correct_bank_6(counts, charge):
    """Correct bank 6 for its dead time and solid angle."""
    angle = 20 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 6" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 20) / charge * angle)
    return corrected


def correct_bank_7(counts, charge):
    """Correct bank 7 for its dead time and solid angle."""
    angle = 57 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 7" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 57) / charge * angle)
    return corrected


def correct_bank_8(counts, charge):
    """Correct bank 8 for its dead time and solid angle."""
    angle = 94 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 8" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 94) / charge * angle)
    return corrected


def correct_bank_9(counts, charge):
    """Correct bank 9 for its dead time and solid angle."""
    angle = 30 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 9" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 30) / charge * angle)
    return corrected


def correct_bank_10(counts, charge):
    """Correct bank 10 for its dead time and solid angle."""
    angle = 67 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 10" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 67) / charge * angle)
    return corrected


def correct_bank_11(counts, charge):
    """Correct bank 11 for its dead time and solid angle."""
    angle = 3 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 11" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 3) / charge * angle)
    return corrected


def correct_bank_12(counts, charge):
    """Correct bank 12 for its dead time and solid angle."""
    angle = 40 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 12" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 40) / charge * angle)
    return corrected


def correct_bank_13(counts, charge):
    """Correct bank 13 for its dead time and solid angle."""
    angle = 77 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 13" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 77) / charge * angle)
    return corrected


def correct_bank_14(counts, charge):
    """Correct bank 14 for its dead time and solid angle."""
    angle = 13 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 14" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 13) / charge * angle)
    return corrected


def correct_bank_15(counts, charge):
    """Correct bank 15 for its dead time and solid angle."""
    angle = 50 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 15" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 50) / charge * angle)
    return corrected


def correct_bank_16(counts, charge):
    """Correct bank 16 for its dead time and solid angle."""
    angle = 87 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 16" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 87) / charge * angle)
    return corrected


def correct_bank_17(counts, charge):
    """Correct bank 17 for its dead time and solid angle."""
    angle = 23 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 17" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 23) / charge * angle)
    return corrected


def correct_bank_18(counts, charge):
    """Correct bank 18 for its dead time and solid angle."""
    angle = 60 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 18" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 60) / charge * angle)
    return corrected


def correct_bank_19(counts, charge):
    """Correct bank 19 for its dead time and solid angle."""
    angle = 97 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 19" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 97) / charge * angle)
    return corrected


def correct_bank_20(counts, charge):
    """Correct bank 20 for its dead time and solid angle."""
    angle = 33 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 20" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 33) / charge * angle)
    return corrected


def correct_bank_21(counts, charge):
    """Correct bank 21 for its dead time and solid angle."""
    angle = 70 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 21" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 70) / charge * angle)
    return corrected


def correct_bank_22(counts, charge):
    """Correct bank 22 for its dead time and solid angle."""
    angle = 6 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 22" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 6) / charge * angle)
    return corrected


def correct_bank_23(counts, charge):
    """Correct bank 23 for its dead time and solid angle."""
    angle = 43 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 23" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 43) / charge * angle)
    return corrected


def correct_bank_24(counts, charge):
    """Correct bank 24 for its dead time and solid angle."""
    angle = 80 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 24" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 80) / charge * angle)
    return corrected


def correct_bank_25(counts, charge):
    """Correct bank 25 for its dead time and solid angle."""
    angle = 16 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 25" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 16) / charge * angle)
    return corrected


def correct_bank_26(counts, charge):
    """Correct bank 26 for its dead time and solid angle."""
    angle = 53 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 26" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 53) / charge * angle)
    return corrected


def correct_bank_27(counts, charge):
    """Correct bank 27 for its dead time and solid angle."""
    angle = 90 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 27" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 90) / charge * angle)
    return corrected


def correct_bank_28(counts, charge):
    """Correct bank 28 for its dead time and solid angle."""
    angle = 26 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 28" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 26) / charge * angle)
    return corrected


def correct_bank_29(counts, charge):
    """Correct bank 29 for its dead time and solid angle."""
    angle = 63 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 29" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 63) / charge * angle)
    return corrected


def correct_bank_30(counts, charge):
    """Correct bank 30 for its dead time and solid angle."""
    angle = 100 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 30" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 100) / charge * angle)
    return corrected


def correct_bank_31(counts, charge):
    """Correct bank 31 for its dead time and solid angle."""
    angle = 36 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 31" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 36) / charge * angle)
    return corrected


def correct_bank_32(counts, charge):
    """Correct bank 32 for its dead time and solid angle."""
    angle = 73 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 32" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 73) / charge * angle)
    return corrected


def correct_bank_33(counts, charge):
    """Correct bank 33 for its dead time and solid angle."""
    angle = 9 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 33" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 9) / charge * angle)
    return corrected


def correct_bank_34(counts, charge):
    """Correct bank 34 for its dead time and solid angle."""
    angle = 46 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 34" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 46) / charge * angle)
    return corrected


def correct_bank_35(counts, charge):
    """Correct bank 35 for its dead time and solid angle."""
    angle = 83 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 35" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 83) / charge * angle)
    return corrected


def correct_bank_36(counts, charge):
    """Correct bank 36 for its dead time and solid angle."""
    angle = 19 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 36" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 19) / charge * angle)
    return corrected


def correct_bank_37(counts, charge):
    """Correct bank 37 for its dead time and solid angle."""
    angle = 56 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 37" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 56) / charge * angle)
    return corrected


def correct_bank_38(counts, charge):
    """Correct bank 38 for its dead time and solid angle."""
    angle = 93 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 38" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 93) / charge * angle)
    return corrected


def correct_bank_39(counts, charge):
    """Correct bank 39 for its dead time and solid angle."""
    angle = 29 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 39" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 29) / charge * angle)
    return corrected


def correct_bank_40(counts, charge):
    """Correct bank 40 for its dead time and solid angle."""
    angle = 66 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 40" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 66) / charge * angle)
    return corrected


def correct_bank_41(counts, charge):
    """Correct bank 41 for its dead time and solid angle."""
    angle = 2 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 41" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 2) / charge * angle)
    return corrected


def correct_bank_42(counts, charge):
    """Correct bank 42 for its dead time and solid angle."""
    angle = 39 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 42" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 39) / charge * angle)
    return corrected


def correct_bank_43(counts, charge):
    """Correct bank 43 for its dead time and solid angle."""
    angle = 76 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 43" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 76) / charge * angle)
    return corrected


def correct_bank_44(counts, charge):
    """Correct bank 44 for its dead time and solid angle."""
    angle = 12 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 44" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 12) / charge * angle)
    return corrected


def correct_bank_45(counts, charge):
    """Correct bank 45 for its dead time and solid angle."""
    angle = 49 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 45" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 49) / charge * angle)
    return corrected


def correct_bank_46(counts, charge):
    """Correct bank 46 for its dead time and solid angle."""
    angle = 86 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 46" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 86) / charge * angle)
    return corrected


def correct_bank_47(counts, charge):
    """Correct bank 47 for its dead time and solid angle."""
    angle = 22 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 47" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 22) / charge * angle)
    return corrected


def correct_bank_48(counts, charge):
    """Correct bank 48 for its dead time and solid angle."""
    angle = 59 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 48" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 59) / charge * angle)
    return corrected


def correct_bank_49(counts, charge):
    """Correct bank 49 for its dead time and solid angle."""
    angle = 96 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 49" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 96) / charge * angle)
    return corrected


def correct_bank_50(counts, charge):
    """Correct bank 50 for its dead time and solid angle."""
    angle = 32 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 50" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 32) / charge * angle)
    return corrected


def correct_bank_51(counts, charge):
    """Correct bank 51 for its dead time and solid angle."""
    angle = 69 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 51" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 69) / charge * angle)
    return corrected


def correct_bank_52(counts, charge):
    """Correct bank 52 for its dead time and solid angle."""
    angle = 5 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 52" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 5) / charge * angle)
    return corrected


def correct_bank_53(counts, charge):
    """Correct bank 53 for its dead time and solid angle."""
    angle = 42 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 53" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 42) / charge * angle)
    return corrected


def correct_bank_54(counts, charge):
    """Correct bank 54 for its dead time and solid angle."""
    angle = 79 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 54" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 79) / charge * angle)
    return corrected


def correct_bank_55(counts, charge):
    """Correct bank 55 for its dead time and solid angle."""
    angle = 15 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 55" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 15) / charge * angle)
    return corrected


def correct_bank_56(counts, charge):
    """Correct bank 56 for its dead time and solid angle."""
    angle = 52 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 56" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 52) / charge * angle)
    return corrected


def correct_bank_57(counts, charge):
    """Correct bank 57 for its dead time and solid angle."""
    angle = 89 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 57" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 89) / charge * angle)
    return corrected


def correct_bank_58(counts, charge):
    """Correct bank 58 for its dead time and solid angle."""
    angle = 25 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 58" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 25) / charge * angle)
    return corrected


def correct_bank_59(counts, charge):
    """Correct bank 59 for its dead time and solid angle."""
    angle = 62 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 59" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 62) / charge * angle)
    return corrected


def correct_bank_60(counts, charge):
    """Correct bank 60 for its dead time and solid angle."""
    angle = 99 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 60" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 99) / charge * angle)
    return corrected


def correct_bank_61(counts, charge):
    """Correct bank 61 for its dead time and solid angle."""
    angle = 35 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 61" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 35) / charge * angle)
    return corrected


def correct_bank_62(counts, charge):
    """Correct bank 62 for its dead time and solid angle."""
    angle = 72 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 62" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 72) / charge * angle)
    return corrected


def correct_bank_63(counts, charge):
    """Correct bank 63 for its dead time and solid angle."""
    angle = 8 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 63" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 8) / charge * angle)
    return corrected


def correct_bank_64(counts, charge):
    """Correct bank 64 for its dead time and solid angle."""
    angle = 45 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 64" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 45) / charge * angle)
    return corrected


def correct_bank_65(counts, charge):
    """Correct bank 65 for its dead time and solid angle."""
    angle = 82 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 65" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 82) / charge * angle)
    return corrected


def correct_bank_66(counts, charge):
    """Correct bank 66 for its dead time and solid angle."""
    angle = 18 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 66" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 18) / charge * angle)
    return corrected


def correct_bank_67(counts, charge):
    """Correct bank 67 for its dead time and solid angle."""
    angle = 55 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 67" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 55) / charge * angle)
    return corrected


def correct_bank_68(counts, charge):
    """Correct bank 68 for its dead time and solid angle."""
    angle = 92 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 68" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 92) / charge * angle)
    return corrected


def correct_bank_69(counts, charge):
    """Correct bank 69 for its dead time and solid angle."""
    angle = 28 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 69" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 28) / charge * angle)
    return corrected


def correct_bank_70(counts, charge):
    """Correct bank 70 for its dead time and solid angle."""
    angle = 65 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 70" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 65) / charge * angle)
    return corrected


def correct_bank_71(counts, charge):
    """Correct bank 71 for its dead time and solid angle."""
    angle = 1 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 71" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 1) / charge * angle)
    return corrected


def correct_bank_72(counts, charge):
    """Correct bank 72 for its dead time and solid angle."""
    angle = 38 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 72" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 38) / charge * angle)
    return corrected


def correct_bank_73(counts, charge):
    """Correct bank 73 for its dead time and solid angle."""
    angle = 75 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 73" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 75) / charge * angle)
    return corrected


def correct_bank_74(counts, charge):
    """Correct bank 74 for its dead time and solid angle."""
    angle = 11 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 74" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 11) / charge * angle)
    return corrected


def correct_bank_75(counts, charge):
    """Correct bank 75 for its dead time and solid angle."""
    angle = 48 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 75" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 48) / charge * angle)
    return corrected


def correct_bank_76(counts, charge):
    """Correct bank 76 for its dead time and solid angle."""
    angle = 85 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 76" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 85) / charge * angle)
    return corrected


def correct_bank_77(counts, charge):
    """Correct bank 77 for its dead time and solid angle."""
    angle = 21 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 77" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 21) / charge * angle)
    return corrected


def correct_bank_78(counts, charge):
    """Correct bank 78 for its dead time and solid angle."""
    angle = 58 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 78" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 58) / charge * angle)
    return corrected


def correct_bank_79(counts, charge):
    """Correct bank 79 for its dead time and solid angle."""
    angle = 95 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 79" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 95) / charge * angle)
    return corrected


def correct_bank_80(counts, charge):
    """Correct bank 80 for its dead time and solid angle."""
    angle = 31 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 80" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 31) / charge * angle)
    return corrected


def correct_bank_81(counts, charge):
    """Correct bank 81 for its dead time and solid angle."""
    angle = 68 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 81" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 68) / charge * angle)
    return corrected


def correct_bank_82(counts, charge):
    """Correct bank 82 for its dead time and solid angle."""
    angle = 4 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 82" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 4) / charge * angle)
    return corrected


def correct_bank_83(counts, charge):
    """Correct bank 83 for its dead time and solid angle."""
    angle = 41 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 83" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 41) / charge * angle)
    return corrected


def correct_bank_84(counts, charge):
    """Correct bank 84 for its dead time and solid angle."""
    angle = 78 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 84" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 78) / charge * angle)
    return corrected


def correct_bank_85(counts, charge):
    """Correct bank 85 for its dead time and solid angle."""
    angle = 14 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 85" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 14) / charge * angle)
    return corrected


def correct_bank_86(counts, charge):
    """Correct bank 86 for its dead time and solid angle."""
    angle = 51 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 86" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 51) / charge * angle)
    return corrected


def correct_bank_87(counts, charge):
    """Correct bank 87 for its dead time and solid angle."""
    angle = 88 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 87" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 88) / charge * angle)
    return corrected


def correct_bank_88(counts, charge):
    """Correct bank 88 for its dead time and solid angle."""
    angle = 24 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 88" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 24) / charge * angle)
    return corrected


def correct_bank_89(counts, charge):
    """Correct bank 89 for its dead time and solid angle."""
    angle = 61 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 89" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 61) / charge * angle)
    return corrected


def correct_bank_90(counts, charge):
    """Correct bank 90 for its dead time and solid angle."""
    angle = 98 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 90" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 98) / charge * angle)
    return corrected


def correct_bank_91(counts, charge):
    """Correct bank 91 for its dead time and solid angle."""
    angle = 34 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 91" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 34) / charge * angle)
    return corrected


def correct_bank_92(counts, charge):
    """Correct bank 92 for its dead time and solid angle."""
    angle = 71 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 92" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 71) / charge * angle)
    return corrected


def correct_bank_93(counts, charge):
    """Correct bank 93 for its dead time and solid angle."""
    angle = 7 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 93" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 7) / charge * angle)
    return corrected


def correct_bank_94(counts, charge):
    """Correct bank 94 for its dead time and solid angle."""
    angle = 44 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 94" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 44) / charge * angle)
    return corrected


def correct_bank_95(counts, charge):
    """Correct bank 95 for its dead time and solid angle."""
    angle = 81 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 95" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 81) / charge * angle)
    return corrected


def correct_bank_96(counts, charge):
    """Correct bank 96 for its dead time and solid angle."""
    angle = 17 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 96" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 17) / charge * angle)
    return corrected


def correct_bank_97(counts, charge):
    """Correct bank 97 for its dead time and solid angle."""
    angle = 54 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 97" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 54) / charge * angle)
    return corrected


def correct_bank_98(counts, charge):
    """Correct bank 98 for its dead time and solid angle."""
    angle = 91 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 98" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 91) / charge * angle)
    return corrected


def correct_bank_99(counts, charge):
    """Correct bank 99 for its dead time and solid angle."""
    angle = 27 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 99" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 27) / charge * angle)
    return corrected


def correct_bank_100(counts, charge):
    """Correct bank 100 for its dead time and solid angle."""
    angle = 64 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 100" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 64) / charge * angle)
    return corrected


def correct_bank_101(counts, charge):
    """Correct bank 101 for its dead time and solid angle."""
    angle = 0 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 101" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 0) / charge * angle)
    return corrected


def correct_bank_102(counts, charge):
    """Correct bank 102 for its dead time and solid angle."""
    angle = 37 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 102" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 37) / charge * angle)
    return corrected


def correct_bank_103(counts, charge):
    """Correct bank 103 for its dead time and solid angle."""
    angle = 74 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 103" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 74) / charge * angle)
    return corrected


def correct_bank_104(counts, charge):
    """Correct bank 104 for its dead time and solid angle."""
    angle = 10 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 104" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 10) / charge * angle)
    return corrected


def correct_bank_105(counts, charge):
    """Correct bank 105 for its dead time and solid angle."""
    angle = 47 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 105" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 47) / charge * angle)
    return corrected


def correct_bank_106(counts, charge):
    """Correct bank 106 for its dead time and solid angle."""
    angle = 84 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 106" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 84) / charge * angle)
    return corrected


def correct_bank_107(counts, charge):
    """Correct bank 107 for its dead time and solid angle."""
    angle = 20 / 180.0 * 3.14159
    corrected = []
    for position, value in enumerate(counts):
        if value < 0:
            raise ValueError("negative counts at %d in bank 107" % position)
        corrected.append(value / (1.0 - value * 1e-9 * 20) / charge * angle)
    return corrected


def main(input_file, output_dir):
    counts = [int(word) for word in open(input_file).read().split()[1:]]
    with open(os.path.join(output_dir, "bank.txt"), "w") as out:
        out.write("%.6f" % sum(correct_bank_7(counts, web_var.standard_vars["charge"])))
