"""ESP32-S2, stock firmware. Fields: host_tools/boards/facts.py.

One core, no Bluetooth. Espressif's development board has a WS2812 (GPIO 18) in place of a plain
LED.
"""

CHIP = "ESP32-S2"
ESPTOOL_CHIP = "esp32s2"
FIRMWARE = "ESP32_GENERIC_S2"
PLATFORM = "esp32"
MPY_ARCH = "xtensawin"
USB_IDS = ((0x303A, 0x4001, "MicroPython"), (0x303A, 0x0002, "boot loader"))
FLASH_SIZE = 0x400000
FLASH_FREE = None
FLASH_MAP = None
FIRMWARE_CALLS = None
FLASH_OFFSET = 0x1000
UF2_FAMILY = None
UF2_BOARD = None
CPU_HZ = 240_000_000
LED_PIN = None
LED_LIT = None
HEAP_CONNECTED = None
WIFI_POWER_SAVE = "PM_NONE"
TICK_MS = 10
TICK_REMEDY = "busy turns"
